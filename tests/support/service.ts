import { expect } from "vitest";
import type { TestLab } from "./testLab";

/** What a node is to its Swarm, and that nothing of a change is left on it. */
export async function expectInService(lab: TestLab, name: string): Promise<void> {
  const format = "{{.Spec.Availability}} {{.Status.State}} {{.Status.Addr}}";
  const member = await lab.mustRoot("coreos1", `docker node inspect ${name} --format '${format}'`);
  expect(member.trim()).toBe(`active ready ${lab.host(name).address}`);
  const left = "ls -d /var/lib/moorage/network /etc/systemd/system/moorage-network* 2>/dev/null; true";
  expect(await lab.mustRoot(name, left)).toBe("");
  const units = "systemctl list-units --all --plain --no-legend 'moorage-network*'";
  expect(await lab.mustRoot(name, units)).toBe("");
}
