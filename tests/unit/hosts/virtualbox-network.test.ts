import { beforeEach, describe, expect, it } from "vitest";
import type { NatNetworkInputs } from "../../../hosts/src/virtualbox/contract";
import { isMissing, Manage } from "../../../hosts/src/virtualbox/manage";
import { leadTo, natNetwork } from "../../../hosts/src/virtualbox/network";
import { TestServer } from "./support/ssh-server";
import { hurry, logged } from "./support/stop";
import { answeringSystem, TestVirtualBox } from "./support/virtualbox";

const forward = (port: number, last: number) => ({
  listen: "127.0.0.1",
  port,
  address: `10.0.2.${last}`,
  targetPort: 22,
});
const modify = "natnetwork modify --netname moorage --port-forward-4";
const start = "natnetwork start --netname moorage";

beforeEach(() => hurry());

describe("a NAT network", () => {
  it.each(["7.0.20r163906", "7.2.18r174163"])(
    "of %s is made, and not touched if nothing changes",
    async (version) => {
      const box = new TestVirtualBox(version);
      const inputs = box.network();
      const { id, outs } = await natNetwork.create(inputs);
      expect(box.changes()).toEqual([
        "setextradata global moorage/natnetwork/moorage organization/moorage/test",
        "natnetwork add --netname moorage --network 10.0.2.0/24 --enable --dhcp off",
        `${modify} ssh-coreos1:tcp:[127.0.0.1]:2011:[10.0.2.11]:22`,
        `${modify} registry:tcp:[127.0.0.1]:8443:[10.0.2.10]:443`,
        start,
      ]);
      const read = await natNetwork.read(id, outs);
      expect(read).toEqual({ id, outs });
      expect(natNetwork.diff(read?.outs ?? outs, inputs).changes).toBe(false);
      await natNetwork.update(id, outs, inputs);
      expect(box.changes()).toEqual([start]);
      // If it is gone between two calls, it is missing in the words of either version.
      const manage = await Manage.on(box.hypervisor);
      const stop = manage.run(["natnetwork", "stop", "--netname", "other"], { purpose: "stopping it" });
      expect(isMissing(await stop.catch((error: unknown) => error))).toBe(true);
    },
  );

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
      `${modify} delete ssh-coreos1`,
      `${modify} ssh-coreos1:tcp:[127.0.0.1]:2111:[10.0.2.11]:22`,
      `${modify} ssh-coreos2:tcp:[127.0.0.1]:2012:[10.0.2.12]:22`,
      start,
    ]);
    await natNetwork.update(id, news, { ...news, forwards: {} });
    expect(box.changes().filter((line) => line.includes("delete"))).toHaveLength(3);
    expect(await box.manage("natnetwork", "list")).not.toContain("Port-forwarding");
  });

  it("keeps the forward to a system that still answers at its former address, until its guest is off", async () => {
    const box = new TestVirtualBox();
    const system = await answeringSystem();
    const systems = { "ssh-coreos1": system.connection() };
    const at = (last: number) => box.network({ forwards: { "ssh-coreos1": forward(2011, last) }, systems });
    const { id, outs } = await natNetwork.create(at(11));
    expect(natNetwork.diff(outs, { ...at(11), systems: {} }).changes).toBe(false);
    box.changes();
    await natNetwork.update(id, outs, at(21));
    expect(box.changes()).toEqual([start]);
    expect(logged).toContain(
      "hypervisor: port 2011 of NAT network moorage leads to coreos1 at 10.0.2.11 until it is installed anew",
    );
    const moved = [
      `${modify} delete ssh-coreos1`,
      `${modify} ssh-coreos1:tcp:[127.0.0.1]:2011:[10.0.2.21]:22`,
    ];
    const to = { network: "moorage", name: "ssh-coreos1", to: forward(2011, 21) };
    await leadTo(await Manage.on(box.hypervisor), to);
    expect(box.changes()).toEqual(moved);
    await leadTo(await Manage.on(box.hypervisor), to);
    await leadTo(await Manage.on(box.hypervisor), { ...to, network: "another" });
    expect(box.changes()).toEqual([]);
    // A system that does not answer is not cut off.
    await leadTo(await Manage.on(box.hypervisor), { ...to, to: forward(2011, 11) });
    await system.stop();
    box.changes();
    await natNetwork.update(id, outs, at(21));
    expect(box.changes()).toEqual(expect.arrayContaining(moved));
  });

  it.each([
    ["--network 10.0.3.0/24", "subnet"],
    ["--dhcp on", "dhcp"],
    ["--disable", "subnet"],
    ["--port-forward-4 delete registry", "forwards"],
    ["--port-forward-4 other:tcp:[]:99:[10.0.2.9]:9", "forwards"],
  ])("has its drift repaired: %s", async (args, key) => {
    const box = new TestVirtualBox();
    const inputs = box.network();
    const { id, outs } = await natNetwork.create(inputs);
    await box.manage("natnetwork", "modify", "--netname", "moorage", ...args.split(" "));
    const read = (await natNetwork.read(id, outs))?.outs ?? outs;
    expect(natNetwork.diff(read, inputs).changedKeys).toEqual([key]);
    await natNetwork.update(id, read, inputs);
    expect((await natNetwork.read(id, outs))?.outs).toEqual(outs);
  });

  it("of somebody else is not touched until it is adopted", async () => {
    const box = new TestVirtualBox();
    await box.manage("natnetwork", "add", "--netname", "moorage", "--network", "10.0.9.0/24", "--enable");
    await expect(natNetwork.create(box.network())).rejects.toThrow(
      /there is a NAT network moorage already, and nothing says that this stack made it.*setextradata global moorage\/natnetwork\/moorage organization\/moorage\/test/,
    );
    expect(await box.manage("natnetwork", "list")).toContain("10.0.9.0/24");
    await box.manage("setextradata", "global", "moorage/natnetwork/moorage", "organization/moorage/test");
    await natNetwork.create(box.network());
    expect(await box.manage("natnetwork", "list")).toContain("10.0.2.0/24");
  });

  it("is removed with its mark", async () => {
    const box = new TestVirtualBox();
    const { id, outs } = await natNetwork.create(box.network());
    await natNetwork.delete(id, outs);
    expect(await box.manage("natnetwork", "list")).toContain("0 networks found");
    expect(await box.manage("getextradata", "global", "moorage/natnetwork/moorage")).toBe("No value set!\n");
    expect(await natNetwork.read(id, outs)).toBeUndefined();
    await natNetwork.delete(id, outs);
  });

  it("is made over SSH too, and stays as recorded while the hypervisor does not answer", async () => {
    const box = new TestVirtualBox();
    const server = await TestServer.start({ node: "hypervisor" });
    const hypervisor = { connection: server.connection(), vboxManage: box.program };
    const { id, outs } = await natNetwork.create(box.network({ hypervisor }));
    expect(await box.manage("natnetwork", "list")).toContain("registry:tcp:[127.0.0.1]:8443:[10.0.2.10]:443");
    await server.stop();
    expect(await natNetwork.read(id, outs)).toEqual({ id, outs });
    await natNetwork.delete(id, outs);
  });
});
