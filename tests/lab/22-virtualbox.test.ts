import * as fs from "node:fs";
import * as path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { must } from "../../lab/exec";
import { journey, type Arrived } from "../../lab/journey/journey";
import { onHost, pushAndPull } from "../../lab/journey/push";
import { clean, up } from "../../lab/lab";
import { hypervisorFolder } from "../../lab/virtualbox/hypervisor";
import { programOf } from "../../lab/virtualbox/service";
import { OwnLab } from "../support/ownLab";
import { eventually, helloArchive, TestLab } from "../support/testLab";
import { tracesOf, type Traces } from "../support/traces";

const quiet = (): void => undefined;
const nodes = ["coreos1", "coreos2", "coreos3", "coreos4"];

let own: OwnLab;
let lab: TestLab;
let before: Traces;
let arrived: Arrived;

/** Runs VBoxManage at the hypervisor, as its owner would. */
function manage(...args: string[]): Promise<string> {
  return must(programOf(hypervisorFolder(own.instance)), args);
}

const infoOf = (name: string): Promise<string> => manage("showvminfo", name, "--machinereadable");

beforeAll(async () => {
  own = OwnLab.begin();
  before = await tracesOf(own.instance);
  arrived = await journey(quiet, "virtualbox");
  lab = await TestLab.open("virtualbox");
});

afterAll(() => own?.end());

describe("guests of a hypervisor that had none", () => {
  test("became a registry that takes a push, in one update", async () => {
    expect(arrived.digest).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect((await manage("list", "vms")).trim().split("\n")).toHaveLength(4);
    for (const name of nodes) expect(await infoOf(name)).toContain('VMState="running"');
  });

  test("have neither installer nor config drive in them, and no key of theirs is left behind", async () => {
    for (const name of nodes) {
      expect(await infoOf(name)).toContain('"SATA-2-0"="emptydrive"');
      expect(await infoOf(name)).toContain('"SATA-3-0"="emptydrive"');
    }
    const drives = path.join(hypervisorFolder(own.instance), "vms", "moorage", "config-drives");
    expect(fs.readdirSync(drives)).toEqual([]);
  });

  test("are reached through the network's forwards, and so is the registry, by its certificate", async () => {
    const listed = await manage("natnetwork", "list");
    for (const host of lab.nodes)
      expect(listed).toContain(`ssh-${host.name}:tcp:[127.0.0.1]:${host.sshPort}:[${host.address}]:22`);
    expect((await onHost(own.instance, lab.host("coreos3"), "hostname")).trim()).toBe("coreos3");
    const url = `https://localhost:${own.instance.registryPort}/v2/`;
    const ca = path.join(own.instance.dir, "ca.crt");
    expect(await must("curl", ["-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", ca, url])).toBe(
      "401",
    );
  });

  test("are left alone by a second update and by a refresh", async () => {
    for (const ran of [await lab.up(), await lab.refresh(), await lab.up()]) {
      expect(ran.code, ran.output).toBe(0);
      expect(ran.output).toMatch(/\d+ unchanged/);
      expect(ran.output).not.toMatch(/created|updated|replaced|deleted|warning/i);
    }
  });
});

describe("a change", () => {
  test("that needs a power cycle is announced as one, and the node is back before the update ends", async () => {
    lab.changeConfig((config) =>
      config.setIn(["config", "moorage:nodes", "coreos4", "guest"], { memory: 3072 }),
    );
    expect((await lab.plan()).map(({ op, name }) => `${op} ${name}`)).toEqual(["update coreos4-guest"]);
    const { output: preview } = await lab.pulumi(["preview", "--diff"]);
    expect(preview).toMatch(/~ withPowerCycle *: \{\n[^}]*~ memory *: 2048 => 3072/);
    const boot = await lab.mustRoot("coreos4", "cat /proc/sys/kernel/random/boot_id");
    const output = await lab.mustUp();
    expect(output).toMatch(/coreos4: answers after \d+ s/);
    expect(await infoOf("coreos4")).toContain("memory=3072");
    expect(await lab.mustRoot("coreos4", "cat /proc/sys/kernel/random/boot_id")).not.toBe(boot);
    await eventually(90, async () => {
      const archive = helloArchive(lab);
      expect(await pushAndPull(own.instance, arrived.access, archive)).toBe(arrived.digest);
    });
  });

  test("at the hypervisor is found by a refresh, and put right without touching what is right", async () => {
    await manage("natnetwork", "modify", "--netname", "moorage", "--port-forward-4", "delete", "ssh-coreos2");
    expect((await lab.refresh()).output).toMatch(/virtualbox-network/);
    expect((await lab.plan()).map(({ op, name }) => `${op} ${name}`)).toEqual(["update virtualbox-network"]);
    await lab.mustUp();
    expect((await onHost(own.instance, lab.host("coreos2"), "hostname")).trim()).toBe("coreos2");
  });
});

describe("a node that is reinstalled", () => {
  const founder = "coreos1";

  test("leaves the Swarm, boots the installer by itself, and comes back with its data and all that ran there", async () => {
    const tasks = `docker node ps ${founder} --filter desired-state=running --format '{{.Name}} {{.CurrentState}}'`;
    const running = async () =>
      (await lab.mustRoot("coreos2", tasks))
        .trim()
        .split("\n")
        .map((line) => line.replace(/(\.[a-z0-9]{25})? Running .*/, ""))
        .sort();
    const ran = await running();
    await lab.mustRoot(founder, "touch /etc/of-the-old-system");
    await lab.mustRoot(founder, `echo '{"installHash":"another"}' > /etc/moorage/install.json`);
    expect((await lab.refresh()).output).toMatch(/coreos1: runs another installation than the recorded one/);
    const output = await lab.mustUp();
    expect(output).toMatch(
      /coreos1: this update reinstalls the node[^]*coreos1: drained[^]*coreos1: left the Swarm[^]*coreos1: installed and up[^]*coreos1: serves again/,
    );
    expect((await lab.root(founder, "test -e /etc/of-the-old-system")).code).toBe(1);
    expect(await running()).toEqual(ran);
    const list = "docker node ls --format '{{.Hostname}} {{.Status}} {{.Availability}} {{.ManagerStatus}}'";
    const listed = (await lab.mustRoot("coreos2", list)).trim().split("\n").sort();
    expect(listed.map((line) => line.replace(/ Leader| Reachable/, " manager").trim())).toEqual([
      ...["coreos1", "coreos2", "coreos3"].map((name) => `${name} Ready Active manager`),
      "coreos4 Ready Active",
    ]);
    expect(await infoOf(founder)).toMatch(/"SATA-2-0"="emptydrive"\n[^]*"SATA-3-0"="emptydrive"/);
  });

  test("has lost nothing: what was pushed before is pulled, and a plain update changes nothing", async () => {
    const image = `${arrived.access.host}/demo/hello@${arrived.digest}`;
    const pulled = await lab.client(
      "client2",
      `docker rmi --force ${image} >/dev/null 2>&1; docker pull --quiet ${image}`,
    );
    expect(pulled).toContain(arrived.digest);
    const { code, output } = await lab.up();
    expect(code, output).toBe(0);
    expect(output).toMatch(/\d+ unchanged/);
    expect(output).not.toMatch(/created|updated|replaced|deleted|warning/i);
  });
});

describe("guests of a stack that is destroyed", () => {
  test("are gone with their network; their data disks stay, and give the same digest to the next guests", async () => {
    const { code, output } = await lab.pulumi(["destroy", "--yes", "--skip-preview"]);
    expect(code, output).toBe(0);
    expect(await manage("list", "vms")).toBe("");
    expect(await manage("natnetwork", "list")).toContain("0 networks found");
    const folder = path.join(hypervisorFolder(own.instance), "vms", "moorage", "data");
    expect(fs.readdirSync(folder).sort()).toEqual(nodes.map((name) => `${name}-data.vdi`));
    const again = await journey(quiet, "virtualbox");
    expect(again.digest).toBe(arrived.digest);
    const pulled = await lab.client(
      "client2",
      `docker pull --quiet ${again.access.host}/demo/hello@${arrived.digest}`,
    );
    expect(pulled).toContain(arrived.digest);
  });

  test("leave nothing behind once the lab is cleaned, a power cut at the hypervisor or not", async () => {
    await manage("controlvm", "coreos3", "poweroff");
    await up({ platform: "virtualbox", say: quiet });
    expect(await infoOf("coreos3")).toContain('VMState="poweroff"');
    await clean(own.instance);
    await eventually(5, async () => {
      const { lab: left, machine } = await tracesOf(own.instance);
      expect(left).toEqual([]);
      expect(machine).toEqual(before.machine);
    });
  });
});
