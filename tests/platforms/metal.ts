import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { must } from "../../lab/exec";
import type { Host } from "../../lab/instance";
import { journey, type Arrived } from "../../lab/journey/journey";
import { pushAndPull } from "../../lab/journey/push";
import { bootLive, makeInstallerKeys } from "../support/live";
import { OwnLab } from "../support/ownLab";
import { whileReading } from "../support/reading";
import { expectOneAfterTheOther } from "../support/row";
import { commandLinesDuring, expectKept } from "../support/secrets";
import { expectInService, expectUnchanged } from "../support/service";
import { mayWarn, needsPublished, StandInsBeside } from "../support/standIns";
import { helloArchive, TestLab } from "../support/testLab";
import { cloudinitFor, hasCloudinit } from "../support/validators";

const userData = "/var/lib/flatcar-install/user_data";

/** Gives a host a second network card, until its next boot. */
async function addCard({ netns }: Host): Promise<void> {
  await must("ip", ["-n", netns, "link", "add", "eth1", "type", "veth", "peer", "name", "plug1"]);
  await must("ip", ["-n", netns, "link", "set", "plug1", "up"]);
}

describe("platform metal", () => {
  const lines: string[] = [];
  const say = (line: string): void => void lines.push(line);

  const standIns = new StandInsBeside();
  let own: OwnLab;
  let lab: TestLab;
  let arrived: Arrived;
  let commandLines: string[];

  beforeAll(async () => {
    own = await OwnLab.begin();
    [arrived, commandLines] = await commandLinesDuring(() => journey(say, "metal"));
    lab = await TestLab.open("metal");
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

  test("a second update and a refresh change nothing", async () => {
    expectUnchanged(await lab.up(["--refresh"]));
  });

  test("a network that SSH does not come back through is taken back by the node, and the others are left alone", async () => {
    const files = "cat /etc/systemd/network/*; cat /proc/sys/kernel/random/boot_id";
    const state = () => Promise.all(lab.nodes.map(({ name }) => lab.mustRoot(name, files)));
    const had = await state();
    const before = lab.stackFile();
    // The nodes reach each other in it, and nobody else: whoever updates them comes from the gateway.
    lab.changeConfig((config) => {
      config.setIn(["config", "moorage:network", "tryoutSeconds"], 15);
      config.setIn(["config", "moorage:network", "subnet"], "10.0.2.8/29");
      config.deleteIn(["config", "moorage:network", "gateway"]);
    });
    const preview = await lab.pulumi(["preview", "--diff"]);
    expect(preview.output).toMatch(/- Address=10\.0\.2\.14\/24[^]*\+ Address=10\.0\.2\.14\/29/);
    const { code, output } = await lab.up();
    expect(code).not.toBe(0);
    const message =
      /(coreos\d): went back by itself to its former network: with the new one, SSH did not return at core@127\.0\.0\.1:\d+ within 15 s/;
    const [, tried = ""] = message.exec(output) ?? [];
    expect(tried, output).not.toBe("");
    for (const { name } of lab.nodes.filter((one) => one.name !== tried)) {
      expect(output).toContain(`${name}: is left as it is, as ${tried} went back to its former network.`);
    }
    expect(await state()).toEqual(had);
    await expectInService(lab, tried);
    lab.changeConfig(before);
  });

  test("the same network with a gateway that leads back to whoever updates is tried by a node, and kept, with a further interface", async () => {
    const [node, gateway] = ["coreos4", "10.0.2.9"];
    const { netns } = lab.instance;
    // It stays: the node's next installation has the first one again.
    await must("ip", ["-n", netns, "address", "add", `${gateway}/24`, "dev", "br0"]);
    await addCard(lab.host(node));
    const boot = () => lab.mustRoot(node, "cat /proc/sys/kernel/random/boot_id");
    const [before, booted] = [lab.stackFile(), await boot()];
    lab.changeConfig((config) => {
      config.setIn(["config", "moorage:network", "subnet"], "10.0.2.8/29");
      config.setIn(["config", "moorage:network", "gateway"], gateway);
      const nics = { eth1: { address: "10.40.0.14/24", mtu: 1400 } };
      config.setIn(["config", "moorage:nodes", node, "nics"], nics);
    });
    // Its network alone: an address of a node is one that every node's Docker asks without the proxy, and is restarted for.
    const alone = ["--target", `**::${node}-network`];
    const preview = await lab.pulumi(["preview", "--diff", ...alone]);
    expect(preview.output).toMatch(
      /coreos4: this update changes its network, the node drained meanwhile: writes [^;]*\/etc\/systemd\/network\/10-eth1\.network[^;]*; goes back by itself unless SSH returns within \d+ s/,
    );
    expect(preview.output).toContain("+ /etc/systemd/network/10-eth1.network");
    const output = await lab.mustUp(...alone);
    expect(output).toMatch(
      /coreos4: this update changes its network[^]*coreos4: has its new network after \d+ s/,
    );
    const way = `cat /etc/systemd/network/*; ip route show default; ip route get ${lab.instance.gateway}`;
    expect(await lab.mustRoot(node, way)).toMatch(
      /Gateway=10\.0\.2\.9\n[^]*^default via 10\.0\.2\.9 [^]*^10\.0\.2\.1 via 10\.0\.2\.9 /m,
    );
    expect(await lab.mustRoot(node, "ip address show eth1")).toMatch(/mtu 1400[^]*inet 10\.40\.0\.14\/24/);
    expect(await boot()).toBe(booted);
    await expectInService(lab, node);
    expect(await lab.plan(...alone)).toEqual([]);
    lab.changeConfig(before);
  });

  test("a node that must be reinstalled stays in service until its live installer is booted with what the program prints for it, and comes back by an update", async () => {
    const [node, survivor] = ["coreos4", "coreos2"];
    const member = `docker node ls --format '{{.Hostname}} {{.Status}} {{.Availability}}' | grep ${node}`;
    await lab.mustRoot(node, `echo '{"installHash":"another"}' > /etc/moorage/install.json`);
    expect((await lab.refresh()).output).toMatch(`${node}: runs another installation than the recorded one`);
    // From here on, as after the stack's end below, what this one's live installer is told is the program's to say.
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

  test("without its keys a machine that was installed is a stranger, which the next update says", async () => {
    const { code, output } = await lab.up();
    expect(code).not.toBe(0);
    expect(output).toMatch(/preflight found 4 problems; nothing was touched/);
    expect(output).toMatch(
      /coreos1: by its host key, .* earlier stack of this name installed it, boot its live installer/,
    );
  });

  test("booted into their live installers again, they give the same digest after one update, by cloud-config and the plugins' stand-ins now", async (context) => {
    // Without its program, the same by Ignition.
    if (hasCloudinit())
      lab.changeConfig((config) => config.setIn(["config", "moorage:os", "format"], "cloud-config"));
    // The update that has just ended at its preflight made new keys for it; those of the others are the lab's.
    await bootLive(lab, "coreos4", "ignition");
    const [again, seen] = await commandLinesDuring(() => journey(say, "metal", standIns.environment(lab)));
    await expectKept(lab, seen);
    expect(lines.filter((line) => line.includes("booting its live installer"))).toHaveLength(3);
    expect(again.digest).toBe(arrived.digest);
    const image = `${again.access.host}/demo/hello@${arrived.digest}`;
    await lab.client("client1", `docker image rm --force ${image}`);
    expect(await lab.client("client1", `docker pull --quiet ${image}`)).toContain(arrived.digest);
    cloudinitFor(context);
    for (const { name } of lab.nodes)
      expect(await lab.mustRoot(name, `head -n 1 ${userData}`)).toBe("#cloud-config\n");
  });

  test("what the stand-ins have made shows no change under the published plugins", async (context) => {
    needsPublished(lab, context);
    expectUnchanged(await lab.pulumi(["preview"]), mayWarn);
    expectUnchanged(await lab.up(["--refresh"]), mayWarn);
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
});
