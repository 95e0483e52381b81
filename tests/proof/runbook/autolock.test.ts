import { beforeAll, expect, test } from "vitest";
import { reboot } from "../../../lab/lab";
import { TestLab } from "../../support/testLab";
import { until } from "../../support/waiting";

const managers = ["coreos1", "coreos2", "coreos3"];
const members = "**:SwarmMember::*";

let lab: TestLab;

beforeAll(async () => {
  lab = await TestLab.standing();
});

const swarmState = async (name: string): Promise<string> =>
  (await lab.mustRoot(name, "docker info --format '{{.Swarm.LocalNodeState}}'")).trim();

/** Power cycles managers, which then wait for their key. */
async function lockedByReboot(...names: string[]): Promise<void> {
  for (const name of names) await reboot(lab.instance, lab.host(name));
  for (const name of names) {
    const isLocked = async (): Promise<void> => expect(await swarmState(name)).toBe("locked");
    await until(`${name} is locked`, isLocked, { netSeconds: 300 });
  }
}

/** Runs the update that the documentation and the error name. */
async function unlock(): Promise<void> {
  const { code, output } = await lab.up(["--refresh", "--target", members]);
  expect(code, output).toBe(0);
  for (const name of managers) expect(await swarmState(name), name).toBe("active");
  const allRun = async (): Promise<void> => {
    const list = await lab.mustRoot("coreos1", "docker service ls --format '{{.Name}} {{.Replicas}}'");
    expect(list.split("\n").filter((line) => line && !/ (1\/1|4\/4)$/.test(line))).toEqual([]);
  };
  await until("all services run", allRun, { netSeconds: 400 });
  expect(await lab.plan()).toEqual([]);
}

test("an update unlocks managers that lock themselves, and never shows their key", async () => {
  await lab.withConfig(
    (config) => config.setIn(["config", "moorage:swarm", "autolock"], true),
    async () => {
      const output = await lab.mustUp();
      const key = (await lab.mustRoot("coreos1", "docker swarm unlock-key --quiet")).trim();
      expect(key).toMatch(/^SWMKEY-1-/);
      expect(await lab.state(true)).toContain(key);
      expect(await lab.state()).not.toContain(key);
      expect(output).not.toContain(key);

      await lockedByReboot("coreos2");
      await unlock();

      await lockedByReboot(...managers);
      // Without a refresh an update sees no change.
      await lab.mustUp();
      for (const name of managers) expect(await swarmState(name), name).toBe("locked");
      await unlock();
    },
  );
  await lab.mustUp();
  expect(
    await lab.mustRoot("coreos1", "docker info --format '{{json .Swarm.Cluster.Spec.EncryptionConfig}}'"),
  ).toContain('"AutoLockManagers":false');
});
