import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { journey, type Arrived } from "../../lab/journey/journey";
import { pushAndPull } from "../../lab/journey/push";
import { bootLive, makeInstallerKeys } from "../support/live";
import { OwnLab } from "../support/ownLab";
import { whileReading } from "../support/reading";
import { expectOneAfterTheOther } from "../support/row";
import { commandLinesDuring, expectKept } from "../support/secrets";
import { expectUnchanged } from "../support/service";
import { mayWarn, needsPublished, StandInsBeside } from "../support/standIns";
import { helloArchive, TestLab } from "../support/testLab";
import { cloudinitFor, hasCloudinit } from "../support/validators";

const userData = "/var/lib/flatcar-install/user_data";

describe("platform metal", () => {
  const standIns = new StandInsBeside();
  let own: OwnLab;
  let lab: TestLab;
  let arrived: Arrived;
  let commandLines: string[];

  beforeAll(async () => {
    own = await OwnLab.begin();
    lab = await TestLab.open("metal");
    // Without its program, by Ignition, as stack dev's guests are.
    if (hasCloudinit())
      lab.changeConfig((config) => config.setIn(["config", "moorage:os", "format"], "cloud-config"));
    const made = () => journey(() => undefined, "metal", standIns.environment(lab));
    [arrived, commandLines] = await commandLinesDuring(made);
  });

  afterAll(async () => {
    standIns.remove();
    await own?.end();
  });

  test("machines in their live installers became a registry that takes a push, in one update", async () => {
    expect(arrived.digest).toMatch(/^sha256:[0-9a-f]{64}$/);
    const { report } = (await lab.outputs()) as { report: { name: string; status: string }[] };
    expect(report.filter((check) => check.status !== "ok")).toEqual([]);
  });

  test("no process list and no log of a host has shown a secret meanwhile", async () => {
    await expectKept(lab, commandLines);
  });

  test("have applied their user data by the format of the configuration", async (context) => {
    cloudinitFor(context);
    for (const { name } of lab.nodes)
      expect(await lab.mustRoot(name, `head -n 1 ${userData}`)).toBe("#cloud-config\n");
  });

  test("what the stand-ins have made shows no change under the published plugins", async (context) => {
    needsPublished(lab, context);
    expectUnchanged(await lab.pulumi(["preview"]), mayWarn);
  });

  test("a second update and a refresh change nothing", async () => {
    expectUnchanged(await lab.up(["--refresh"]), mayWarn);
  });

  test("a node that must be reinstalled stays in service until its live installer is booted with what the program prints for it, and comes back by an update", async () => {
    const [node, survivor] = ["coreos4", "coreos2"];
    const member = `docker node ls --format '{{.Hostname}} {{.Status}} {{.Availability}}' | grep ${node}`;
    await lab.mustRoot(node, `echo '{"installHash":"another"}' > /etc/moorage/install.json`);
    expect((await lab.refresh()).output).toMatch(`${node}: runs another installation than the recorded one`);
    // From here on what its live installer is told is the program's to say.
    makeInstallerKeys(lab, node);
    expect((await lab.pulumi(["preview"])).output).toContain(
      "coreos4: this update reinstalls the node if its live installer answers; otherwise it stops before it touches the node",
    );
    const stopped = await lab.up();
    expect(stopped.code).not.toBe(0);
    expect(stopped.output).toMatch(
      /coreos4: must be reinstalled.*nothing was touched.*boot its live installer.*moorage -- live coreos4/,
    );
    expect(await lab.mustRoot(survivor, member)).toBe(`${node} Ready Active\n`);

    await bootLive(lab, node, hasCloudinit() ? "config-drive" : "ignition");
    expect(await lab.mustUp()).toMatch(/coreos4: installed and up[^]*coreos4: serves again/);
    expect(await lab.mustRoot(survivor, member)).toBe(`${node} Ready Active\n`);
    const image = `${arrived.access.host}/demo/hello@${arrived.digest}`;
    await lab.client("client2", `docker image rm --force ${image}`);
    expect(await lab.client("client2", `docker pull --quiet ${image}`)).toContain(arrived.digest);
    expect(await lab.plan()).toEqual([]);
  });

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

  test("once the stack is destroyed the hosts are out of the Swarm, and nothing of ours runs", async () => {
    const { code, output } = await lab.pulumi(["destroy", "--yes", "--skip-preview"]);
    expect(code, output).toBe(0);
    for (const { name } of lab.nodes) {
      const state = await lab.mustRoot(name, "docker info --format '{{.Swarm.LocalNodeState}}'");
      expect(state, name).toBe("inactive\n");
      const left = [
        "docker ps --all --quiet",
        "docker volume ls --quiet",
        "docker network ls --filter type=custom --format '{{.Name}}' | grep -v docker_gwbridge || true",
        "systemctl list-unit-files 'moorage-*' --no-legend || true",
      ];
      expect(await lab.mustRoot(name, left.join("; ")), name).toBe("");
    }
  });

  test("without its keys a machine that was installed is a stranger, until it is booted with what the next update has made for it", async () => {
    const { code, output } = await lab.up();
    expect(code).not.toBe(0);
    expect(output).toMatch(/preflight found 4 problems; nothing was touched/);
    expect(output).toMatch(
      /coreos1: by its host key, .* earlier stack of this name installed it, boot its live installer/,
    );
    await bootLive(lab, "coreos4", "ignition");
    const again = await lab.up();
    expect(again.code).not.toBe(0);
    expect(again.output).toMatch(/preflight found 3 problems; nothing was touched/);
    expect(again.output).not.toMatch(/coreos4: by its host key/);
  });
});
