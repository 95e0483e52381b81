import { describe, expect, it } from "vitest";
import type { NatNetworkInputs } from "../../../hosts/src/virtualbox/contract";
import { isMissing, Manage } from "../../../hosts/src/virtualbox/manage";
import { leadTo, natNetwork } from "../../../hosts/src/virtualbox/network";
import { TestServer } from "./support/ssh-server";
import { logged } from "./support/stop";
import { answeringSystem, TestVirtualBox } from "./support/virtualbox";

const forward = (port: number, last: number) => ({
  listen: "127.0.0.1",
  port,
  address: `10.0.2.${last}`,
  targetPort: 22,
});

describe.each(["6.1.50r161033", "7.0.20r163906", "7.1.4r165100", "7.2.4r170995", "7.2.18r174163"])(
  "a NAT network of %s",
  (version) => {
    it("is made with its forwards, read back as it is, and left alone when nothing changed", async () => {
      const box = new TestVirtualBox(version);
      const inputs = box.network();
      const { id, outs } = await natNetwork.create(inputs);
      expect(box.changes()).toEqual([
        "setextradata global moorage/natnetwork/moorage organization/moorage/test",
        "natnetwork add --netname moorage --network 10.0.2.0/24 --enable --dhcp off",
        "natnetwork modify --netname moorage --port-forward-4 ssh-coreos1:tcp:[127.0.0.1]:2011:[10.0.2.11]:22",
        "natnetwork modify --netname moorage --port-forward-4 registry:tcp:[127.0.0.1]:8443:[10.0.2.10]:443",
        "natnetwork start --netname moorage",
      ]);
      const read = await natNetwork.read(id, outs);
      expect(read).toEqual({ id, outs });
      expect(natNetwork.diff(read?.outs ?? outs, inputs).changes).toBe(false);
      await natNetwork.update(id, outs, inputs);
      expect(box.changes()).toEqual(["natnetwork start --netname moorage"]);
    }, 60_000);
  },
);

describe("a NAT network of a name that is taken", () => {
  it.each([
    ["7.1.4r165100", "NATNetwork server already exists", "NATNetwork server does not exist"],
    ["7.2.18r174163", "NAT network 'moorage' already exists", "NAT network 'moorage' not found"],
  ])("is refused by %s in its own words", async (version, taken, missing) => {
    const box = new TestVirtualBox(version);
    const add = () => box.manage("natnetwork", "add", "--netname", "moorage", "--network", "10.0.2.0/24");
    await expect(box.manage("natnetwork", "start", "--netname", "moorage")).rejects.toThrow(missing);
    await add();
    await expect(add()).rejects.toThrow(taken);
    // Nobody marked it, so it is not even tried.
    await expect(natNetwork.create(box.network())).rejects.toThrow(
      /there is a NAT network moorage already, and nothing says/,
    );
    // Gone between two looks, it is missing by either words.
    const manage = await Manage.on(box.hypervisor);
    const stop = manage.run(["natnetwork", "stop", "--netname", "other"], { purpose: "stopping it" });
    expect(isMissing(await stop.catch((error: unknown) => error))).toBe(true);
  });
});

describe("a NAT network", () => {
  it("adds, changes and removes forwards one by one", async () => {
    const box = new TestVirtualBox();
    const inputs = box.network();
    const { id, outs } = await natNetwork.create(inputs);
    box.changes();
    const news: NatNetworkInputs = {
      ...inputs,
      forwards: {
        "ssh-coreos1": forward(2111, 11),
        "ssh-coreos2": forward(2012, 12),
        registry: inputs.forwards.registry ?? forward(1, 1),
      },
    };
    expect(natNetwork.diff(outs, news)).toMatchObject({ changedKeys: ["forwards"], replaces: [] });
    await natNetwork.update(id, outs, news);
    expect(box.changes()).toEqual([
      "natnetwork modify --netname moorage --port-forward-4 delete ssh-coreos1",
      "natnetwork modify --netname moorage --port-forward-4 ssh-coreos1:tcp:[127.0.0.1]:2111:[10.0.2.11]:22",
      "natnetwork modify --netname moorage --port-forward-4 ssh-coreos2:tcp:[127.0.0.1]:2012:[10.0.2.12]:22",
      "natnetwork start --netname moorage",
    ]);
    await natNetwork.update(id, news, { ...news, forwards: {} });
    expect(box.changes().filter((line) => line.includes("delete"))).toHaveLength(3);
    expect(await box.manage("natnetwork", "list")).not.toContain("Port-forwarding");
  }, 60_000);

  it("leaves the forward to a system that still answers at its former address, until its guest is off", async () => {
    const box = new TestVirtualBox();
    const system = await answeringSystem();
    const systems = { "ssh-coreos1": system.connection() };
    const at = (last: number) => box.network({ forwards: { "ssh-coreos1": forward(2011, last) }, systems });
    const { id, outs } = await natNetwork.create(at(11));
    expect(natNetwork.diff(outs, { ...at(11), systems: {} }).changes).toBe(false);
    box.changes();
    await natNetwork.update(id, outs, at(21));
    expect(box.changes()).toEqual(["natnetwork start --netname moorage"]);
    expect(logged).toContain(
      "hypervisor: port 2011 of NAT network moorage leads to coreos1 at 10.0.2.11 until it is installed anew",
    );
    const moved = [
      "natnetwork modify --netname moorage --port-forward-4 delete ssh-coreos1",
      "natnetwork modify --netname moorage --port-forward-4 ssh-coreos1:tcp:[127.0.0.1]:2011:[10.0.2.21]:22",
    ];
    const to = { network: "moorage", name: "ssh-coreos1", to: forward(2011, 21) };
    await leadTo(await Manage.on(box.hypervisor), to);
    expect(box.changes()).toEqual(moved);
    await leadTo(await Manage.on(box.hypervisor), to);
    await leadTo(await Manage.on(box.hypervisor), { ...to, network: "another" });
    expect(box.changes()).toEqual([]);
    // Where nobody answers, there is nobody to be cut off.
    await leadTo(await Manage.on(box.hypervisor), { ...to, to: forward(2011, 11) });
    await system.stop();
    box.changes();
    await natNetwork.update(id, outs, at(21));
    expect(box.changes()).toEqual(expect.arrayContaining(moved));
  }, 60_000);

  it("shows drift of each setting, and puts it right", async () => {
    const box = new TestVirtualBox();
    const inputs = box.network();
    const { id, outs } = await natNetwork.create(inputs);
    const drifts: [string[], string][] = [
      [["--network", "10.0.3.0/24"], "subnet"],
      [["--dhcp", "on"], "dhcp"],
      [["--disable"], "subnet"],
      [["--port-forward-4", "delete", "registry"], "forwards"],
      [["--port-forward-4", "other:tcp:[]:99:[10.0.2.9]:9"], "forwards"],
    ];
    for (const [args, key] of drifts) {
      await box.manage("natnetwork", "modify", "--netname", "moorage", ...args);
      const read = await natNetwork.read(id, outs);
      expect(natNetwork.diff(read?.outs ?? outs, inputs).changedKeys, args.join(" ")).toEqual([key]);
      await natNetwork.update(id, read?.outs ?? outs, inputs);
      expect((await natNetwork.read(id, outs))?.outs).toEqual(outs);
    }
  }, 60_000);

  it("that somebody else made is left alone, until it is adopted", async () => {
    const box = new TestVirtualBox();
    await box.manage("natnetwork", "add", "--netname", "moorage", "--network", "10.0.9.0/24", "--enable");
    await expect(natNetwork.create(box.network())).rejects.toThrow(
      /there is a NAT network moorage already, and nothing says that this stack made it.*setextradata global moorage\/natnetwork\/moorage organization\/moorage\/test/,
    );
    expect(await box.manage("natnetwork", "list")).toContain("10.0.9.0/24");
    await box.manage("setextradata", "global", "moorage/natnetwork/moorage", "organization/moorage/test");
    await natNetwork.create(box.network());
    expect(await box.manage("natnetwork", "list")).toContain("10.0.2.0/24");
  }, 60_000);

  it("is gone where somebody removed it, and removed with its mark in the end", async () => {
    const box = new TestVirtualBox();
    const { id, outs } = await natNetwork.create(box.network());
    await natNetwork.delete(id, outs);
    expect(await box.manage("natnetwork", "list")).toContain("0 networks found");
    expect(await box.manage("getextradata", "global", "moorage/natnetwork/moorage")).toBe("No value set!\n");
    expect(await natNetwork.read(id, outs)).toBeUndefined();
    await natNetwork.delete(id, outs);
  }, 60_000);

  it("is made over SSH too, and stays as recorded while the hypervisor does not answer", async () => {
    const box = new TestVirtualBox();
    const server = await TestServer.start({ node: "hypervisor" });
    const hypervisor = { connection: server.connection(), vboxManage: box.program };
    const { id, outs } = await natNetwork.create(box.network({ hypervisor }));
    expect(await box.manage("natnetwork", "list")).toContain("registry:tcp:[127.0.0.1]:8443:[10.0.2.10]:443");
    await server.stop();
    expect(await natNetwork.read(id, outs)).toEqual({ id, outs });
    await natNetwork.delete(id, outs);
  }, 60_000);

  it("is not made on versions whose NAT networks do not work, nor on older ones than 6.1", async () => {
    for (const [version, words] of [
      ["7.2.0r170228", /7\.2\.0r170228 has NAT networks that do not work.*fixed in 7\.2\.4/],
      ["7.2.2r170484", /fixed in 7\.2\.4/],
      ["5.2.44r139111", /too old: 6\.1, 7\.0, 7\.1 or 7\.2/],
    ] as const) {
      const box = new TestVirtualBox(version);
      await expect(natNetwork.create(box.network())).rejects.toThrow(words);
      expect(box.changes()).toEqual([]);
    }
  }, 60_000);

  it("names VBoxManage's path in the configuration when it is wrong", async () => {
    const box = new TestVirtualBox();
    const inputs = box.network({ hypervisor: { vboxManage: "/nowhere/VBoxManage" } });
    await expect(natNetwork.create(inputs)).rejects.toThrow(
      "hypervisor: there is no program /nowhere/VBoxManage; correct hypervisor.vboxManage",
    );
  });
});
