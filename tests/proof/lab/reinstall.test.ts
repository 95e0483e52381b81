import { beforeAll, expect, test } from "vitest";
import type { Document } from "yaml";
import { pushAndPull, type RegistryAccess } from "../../../lab/journey/push";
import { manage } from "../../support/hypervisor";
import { expectUnchanged } from "../../support/service";
import { helloArchive, TestLab } from "../../support/testLab";

const founder = "coreos1";
const survivor = "coreos2";

let lab: TestLab;
let access: RegistryAccess;
let digest: string;

beforeAll(async () => {
  lab = await TestLab.standing();
  access = await lab.access();
  digest = await pushAndPull(lab.instance, access, helloArchive(lab));
});

/** Names of services with tasks on the founder. */
async function runningThere(): Promise<string[]> {
  const tasks = `docker node ps ${founder} --filter desired-state=running --format '{{.Name}} {{.CurrentState}}'`;
  const lines = (await lab.mustRoot(survivor, tasks)).trim().split("\n");
  return lines.map((line) => line.replace(/(\.[a-z0-9]{25})? Running .*/, "")).sort();
}

test("a preview announces that a node with another address is reinstalled, without the changes included in that", async () => {
  const { code, output } = await lab.withConfig(
    (config) => config.setIn(["config", "moorage:nodes", "coreos4", "address"], "10.0.2.24"),
    () => lab.pulumi(["preview"]),
  );
  expect(code, output).toBe(0);
  expect(output).toMatch(/coreos4: this update reinstalls the node/);
  expect(output).not.toMatch(/coreos4: this update (changes its network|writes)/);
});

test("a node with another installation leaves the Swarm, is reinstalled, and its services return", async () => {
  const ran = await runningThere();
  await lab.mustRoot(founder, "touch /etc/of-the-old-system");
  await lab.mustRoot(founder, `echo '{"installHash":"another"}' > /etc/moorage/install.json`);
  expect((await lab.refresh()).output).toMatch(/coreos1: runs another installation than the recorded one/);

  const output = await lab.mustUp();
  expect(output).toMatch(
    /coreos1: this update reinstalls the node[^]*coreos1: drained[^]*coreos1: left the Swarm[^]*coreos1: installed and up[^]*coreos1: serves again/,
  );
  expect((await lab.root(founder, "test -e /etc/of-the-old-system")).code).toBe(1);
  expect(await runningThere()).toEqual(ran);
  const list = "docker node ls --format '{{.Hostname}} {{.Status}} {{.Availability}} {{.ManagerStatus}}'";
  const listed = (await lab.mustRoot(survivor, list)).trim().split("\n").sort();
  expect(listed.map((line) => line.replace(/ Leader| Reachable/, " manager").trim())).toEqual([
    ...["coreos1", "coreos2", "coreos3"].map((name) => `${name} Ready Active manager`),
    "coreos4 Ready Active",
  ]);
  expect(await manage(lab.instance, "showvminfo", founder, "--machinereadable")).toMatch(
    /"SATA-2-0"="emptydrive"\n[^]*"SATA-3-0"="emptydrive"/,
  );
});

test("after the reinstallation, an image pushed before is pulled, and an update changes nothing", async () => {
  const image = `${access.host}/demo/hello@${digest}`;
  await lab.client("client2", `docker image rm --force ${image}`);
  expect(await lab.client("client2", `docker pull --quiet ${image}`)).toContain(digest);
  expectUnchanged(await lab.up());
});

test("no reinstallation begins if another host answers at the new address", async () => {
  const { address } = lab.host("client2");
  const take = (config: Document) => config.setIn(["config", "moorage:nodes", founder, "address"], address);
  // The preflight comes first. Other resources are of no interest here.
  const { code, output } = await lab.withConfig(take, () => lab.up(["--target", "**:Preflight::*"]));
  expect(code).not.toBe(0);
  expect(output).toMatch(
    /1 problem; nothing was touched:\s+coreos1: would be installed at [0-9.]+, where somebody else answers already \([0-9a-f:]{17}\)\. To do: give `nodes\.coreos1\.address` one that is free/,
  );
  expect(await lab.plan()).toEqual([]);
});
