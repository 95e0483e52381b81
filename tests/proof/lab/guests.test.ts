import * as fs from "node:fs";
import * as path from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { must } from "../../../lab/exec";
import { onHost, pushAndPull, type RegistryAccess } from "../../../lab/journey/push";
import { hypervisorFolder } from "../../../lab/virtualbox/hypervisor";
import { manage } from "../../support/hypervisor";
import { helloArchive, TestLab } from "../../support/testLab";

let lab: TestLab;
let access: RegistryAccess;

const infoOf = (name: string): Promise<string> =>
  manage(lab.instance, "showvminfo", name, "--machinereadable");

/** Names of services with tasks on the node. */
async function running(node: string): Promise<string[]> {
  const tasks = `docker node ps ${node} --filter desired-state=running --format '{{.Name}} {{.CurrentState}}'`;
  const lines = (await lab.mustRoot("coreos1", tasks)).trim().split("\n");
  return lines.map((line) => line.replace(/(\.\w+)? Running .*/, "")).sort();
}

beforeAll(async () => {
  lab = await TestLab.standing();
  access = await lab.access();
});

describe("VirtualBox guests", () => {
  test("run without installer and config drive, and no config drive with keys is left", async () => {
    expect((await manage(lab.instance, "list", "vms")).trim().split("\n")).toHaveLength(4);
    for (const { name } of lab.nodes) {
      const info = await infoOf(name);
      expect(info).toContain('VMState="running"');
      expect(info).toContain('"SATA-2-0"="emptydrive"');
      expect(info).toContain('"SATA-3-0"="emptydrive"');
    }
    const drives = path.join(hypervisorFolder(lab.instance), "vms", "moorage", "config-drives");
    expect(fs.readdirSync(drives)).toEqual([]);
  });

  test("are reached through the network's forwards, and so is the registry with its certificate", async () => {
    const listed = await manage(lab.instance, "natnetwork", "list");
    for (const host of lab.nodes)
      expect(listed).toContain(`ssh-${host.name}:tcp:[127.0.0.1]:${host.sshPort}:[${host.address}]:22`);
    expect((await onHost(lab.instance, lab.host("coreos3"), "hostname")).trim()).toBe("coreos3");
    const url = `https://localhost:${lab.instance.registryPort}/v2/`;
    const ca = path.join(lab.instance.dir, "ca.crt");
    const status = await must("curl", ["-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", ca, url]);
    expect(status).toBe("401");
  });
});

describe("a change", () => {
  test("that needs a power cycle says so in the preview, and the node is back before the update ends", async () => {
    const digest = await pushAndPull(lab.instance, access, helloArchive(lab));
    // It stays: no other test depends on it.
    lab.changeConfig((config) =>
      config.setIn(["config", "moorage:nodes", "coreos4", "guest"], { memory: 3072 }),
    );
    expect((await lab.plan()).map(({ op, name }) => `${op} ${name}`)).toEqual(["update coreos4-guest"]);
    const { output: preview } = await lab.pulumi(["preview", "--diff"]);
    expect(preview).toMatch(/~ withPowerCycle *: \{\n[^}]*~ memory *: 2048 => 3072/);
    const ran = await running("coreos4");
    const boot = await lab.mustRoot("coreos4", "cat /proc/sys/kernel/random/boot_id");
    const output = await lab.mustUp();
    expect(output).toMatch(
      /coreos4: this update switches it off, the node drained meanwhile; other: memory[^]*coreos4: drained[^]*coreos4: switching off[^]*coreos4: answers after \d+ s[^]*coreos4: back in service after/,
    );
    expect(await infoOf("coreos4")).toContain("memory=3072");
    expect(await lab.mustRoot("coreos4", "cat /proc/sys/kernel/random/boot_id")).not.toBe(boot);
    const state = "docker node inspect --format '{{.Status.State}} {{.Spec.Availability}}' coreos4";
    expect((await lab.mustRoot("coreos1", state)).trim()).toBe("ready active");
    expect(await running("coreos4")).toEqual(ran);
    expect(await pushAndPull(lab.instance, access, helloArchive(lab))).toBe(digest);
  });

  test("at the hypervisor is found by a refresh and repaired alone", async () => {
    const rule = ["--port-forward-4", "delete", "ssh-coreos2"];
    await manage(lab.instance, "natnetwork", "modify", "--netname", "moorage", ...rule);
    expect((await lab.refresh()).output).toMatch(/virtualbox-network/);
    expect((await lab.plan()).map(({ op, name }) => `${op} ${name}`)).toEqual(["update virtualbox-network"]);
    await lab.mustUp();
    expect((await onHost(lab.instance, lab.host("coreos2"), "hostname")).trim()).toBe("coreos2");
  });
});
