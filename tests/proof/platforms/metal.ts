import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { journey, type Arrived } from "../../../lab/journey/journey";
import { bootLive, makeInstallerKeys } from "../../support/live";
import { OwnLab } from "../../support/ownLab";
import { commandLinesDuring, expectKept } from "../../support/secrets";
import { expectUnchanged } from "../../support/service";
import { mayWarn, needsPublished, StandInsBeside } from "../../support/standIns";
import { TestLab } from "../../support/testLab";
import { hasCloudinit } from "../../support/validators";
import { changes } from "./change";
import { network } from "./network";
import { vip } from "./vip";

describe("platform metal", () => {
  const standIns = new StandInsBeside();
  let own: OwnLab;
  let lab: TestLab;
  let arrived: Arrived;
  let commandLines: string[];

  beforeAll(async () => {
    own = await OwnLab.begin();
    lab = await TestLab.open("metal");
    const made = () => journey(() => undefined, "metal", standIns.environment(lab));
    [arrived, commandLines] = await commandLinesDuring(made);
  });

  afterAll(async () => {
    standIns.remove();
    await own?.end();
  });

  test("one update turns machines in their live installers into a registry that accepts a push", async () => {
    expect(arrived.digest).toMatch(/^sha256:[0-9a-f]{64}$/);
    const { report } = (await lab.outputs()) as { report: { name: string; status: string }[] };
    expect(report.filter((check) => check.status !== "ok")).toEqual([]);
  });

  test("that update showed no secret in a process list or a log", async () => {
    await expectKept(lab, commandLines);
  });

  test("the published plugins show no change of what the stand-ins created", async (context) => {
    needsPublished(lab, context);
    expectUnchanged(await lab.pulumi(["preview"]), mayWarn);
  });

  test("a second update changes nothing", async () => {
    expectUnchanged(await lab.up(), mayWarn);
  });

  changes(() => lab);
  network(() => lab);
  vip(() => lab);

  test("a node that must be reinstalled serves until its live installer runs with the program's keys, and an update reinstalls it", async () => {
    const [node, survivor] = ["coreos4", "coreos2"];
    const member = `docker node ls --format '{{.Hostname}} {{.Status}} {{.Availability}}' | grep ${node}`;
    await lab.mustRoot(node, `echo '{"installHash":"another"}' > /etc/moorage/install.json`);
    expect((await lab.refresh()).output).toMatch(`${node}: runs another installation than the recorded one`);
    // From here on the live installer has the program's keys, not the lab's.
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

  test("after `destroy` the hosts are in no Swarm, and nothing of the stack runs", async () => {
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

  test("the next stack refuses an installed machine until its live installer runs with the new keys", async () => {
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
