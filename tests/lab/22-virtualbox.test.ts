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
