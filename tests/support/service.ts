import { expect } from "vitest";
import type { Ran, TestLab } from "./testLab";

/** The node is active in its Swarm, and no change of its network is left unfinished. */
export async function expectInService(lab: TestLab, name: string): Promise<void> {
  const format = "{{.Spec.Availability}} {{.Status.State}} {{.Status.Addr}}";
  const member = await lab.mustRoot("coreos1", `docker node inspect ${name} --format '${format}'`);
  expect(member.trim()).toBe(`active ready ${lab.host(name).address}`);
  const left = "ls -d /var/lib/moorage/network /etc/systemd/system/moorage-network* 2>/dev/null; true";
  expect(await lab.mustRoot(name, left)).toBe("");
  const units = "systemctl list-units --all --plain --no-legend 'moorage-network*'";
  expect(await lab.mustRoot(name, units)).toBe("");
}

/** Each service with the state of its last update. */
export function updates(lab: TestLab, manager: string): Promise<string> {
  const format = "{{.Spec.Name}} {{with .UpdateStatus}}{{.State}}{{end}}";
  return lab.mustRoot(manager, `docker service inspect $(docker service ls -q) --format '${format}'`);
}

/** An update, a refresh or a preview changed nothing and, unless it may, warned of nothing. */
export function expectUnchanged({ code, output }: Ran, { mayWarn = false } = {}): void {
  expect(code, output).toBe(0);
  expect(output).toMatch(/\d+ unchanged/);
  const changes = output
    .split("\n")
    .filter((line) => /created|updated|replaced|deleted|to (create|update|replace|delete)/.test(line));
  expect(changes, changes.join("\n")).toEqual([]);
  if (!mayWarn) expect(output).not.toMatch(/warning/i);
}
