import { beforeAll, expect, test } from "vitest";
import { reboot } from "../../lab/lab";
import { eventually, TestLab } from "../support/testLab";

const managers = ["coreos1", "coreos2", "coreos3"];
const members = "**:SwarmMember::*";

let lab: TestLab;

beforeAll(async () => {
  lab = await TestLab.standing();
});

const swarmState = async (name: string): Promise<string> =>
  (await lab.mustRoot(name, "docker info --format '{{.Swarm.LocalNodeState}}'")).trim();

/** Power cycles managers, which then wait for their key. */
async function rebooted(...names: string[]): Promise<void> {
  for (const name of names) await reboot(lab.instance, lab.host(name));
  for (const name of names) {
    await eventually(60, async () => expect(await swarmState(name), name).toBe("locked"));
  }
}

/** An update of the members, refreshed first, is what the documentation and the error name. */
async function unlocked(): Promise<void> {
  const { code, output } = await lab.up(["--refresh", "--target", members]);
  expect(code, output).toBe(0);
  for (const name of managers) expect(await swarmState(name), name).toBe("active");
  await eventually(90, async () => {
    const list = await lab.mustRoot("coreos1", "docker service ls --format '{{.Name}} {{.Replicas}}'");
    expect(list.split("\n").filter((line) => line && !/ (1\/1|4\/4)$/.test(line))).toEqual([]);
  });
  expect(await lab.plan()).toEqual([]);
}

test("managers that lock themselves are unlocked by an update, with a key that is never in clear", async () => {
  await lab.withConfig(
    (config) => config.setIn(["config", "moorage:swarm", "autolock"], true),
    async () => {
      const output = await lab.mustUp();
      const key = (await lab.mustRoot("coreos1", "docker swarm unlock-key --quiet")).trim();
      expect(key).toMatch(/^SWMKEY-1-/);
      expect(await lab.state(true)).toContain(key);
      expect(await lab.state()).not.toContain(key);
      expect(output).not.toContain(key);

      await rebooted("coreos2");
      await unlocked();

      await rebooted(...managers);
      // Nothing has changed in what is recorded, so that nobody looks.
      await lab.mustUp();
      for (const name of managers) expect(await swarmState(name), name).toBe("locked");
      await unlocked();
    },
  );
  await lab.mustUp();
  expect(
    await lab.mustRoot("coreos1", "docker info --format '{{json .Swarm.Cluster.Spec.EncryptionConfig}}'"),
  ).toContain('"AutoLockManagers":false');
});
