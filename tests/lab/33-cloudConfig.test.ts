import { beforeAll, expect, test } from "vitest";
import { pushAndPull } from "../../lab/journey/push";
import { whileReading } from "../support/reading";
import { expectOneAfterTheOther } from "../support/row";
import { helloArchive, TestLab } from "../support/testLab";
import { cloudinitFor, hasCloudinit } from "../support/validators";

const userData = "/var/lib/flatcar-install/user_data";

let lab: TestLab;

// Nodes have it since they were made anew; any others are installed anew for it, one after the other.
beforeAll(async () => {
  lab = await TestLab.standing();
  if (!hasCloudinit()) return;
  lab.changeConfig((config) => config.setIn(["config", "moorage:os", "format"], "cloud-config"));
  await lab.mustUp();
  await pushAndPull(lab.instance, await lab.access(), helloArchive(lab));
});

test("nodes have applied a cloud-config where the configuration says so", async (context) => {
  cloudinitFor(context);
  for (const { name } of lab.nodes)
    expect(await lab.mustRoot(name, `head -n 1 ${userData}`)).toBe("#cloud-config\n");
});

// The other nodes keep the one that they have: no test comes after this one.
test("another cloud-config comes by a reboot of one drained node after the other, and no read fails", async (context) => {
  cloudinitFor(context);
  lab.changeConfig((config) => config.setIn(["config", "moorage:os", "timeZone"], "Europe/Paris"));
  const preview = await lab.pulumi(["preview"]);
  for (const { name } of lab.nodes) {
    expect(preview.output).toContain(`${name}: this update writes its user data anew and reboots the node`);
  }
  // A manager and the worker: a turn of each of the others would take as long again.
  const names = lab.nodes.map(({ name }) => name);
  const [chosen, others] = [names.slice(2), names.slice(0, 2)];
  const boots = (of: readonly string[]) =>
    Promise.all(of.map((name) => lab.mustRoot(name, "cat /proc/sys/kernel/random/boot_id")));
  const [before, otherBoots] = [await boots(chosen), await boots(others)];
  const targets = chosen.flatMap((name) => ["--target", `**::${name}-installation`]);
  const read = await whileReading(lab, await lab.access(), () => lab.mustUp(...targets));
  expect(read.asked).toBeGreaterThan(20);
  expect(read.failed).toEqual([]);
  await expectOneAfterTheOther(lab, chosen, read.result);
  const after = await boots(chosen);
  expect(after.filter((boot) => before.includes(boot))).toEqual([]);
  expect(await boots(others)).toEqual(otherBoots);
  for (const name of chosen) {
    expect(await lab.mustRoot(name, "readlink /etc/localtime")).toMatch(/\/Europe\/Paris$/m);
  }
  const planned = (await lab.plan()).map(({ op, name }) => `${op} ${name}`);
  expect(planned.filter((step) => chosen.some((name) => step.includes(name)))).toEqual([]);
  for (const name of others) expect(planned).toContain(`update ${name}-installation`);
  await pushAndPull(lab.instance, await lab.access(), helloArchive(lab));
});
