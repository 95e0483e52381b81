/** A real keepalived with what a node gets, on two hosts of a network of their own. */
import { afterEach, describe, expect, it } from "vitest";
import { pause, until } from "../../support/waiting";
import { twoHosts, vip, type Host } from "../../unit/render/programs/keepalivedHost";

const { one, two } = twoHosts();
afterEach(async () => {
  await Promise.all([one.stop(), two.stop()]);
});

async function holds(host: Host): Promise<void> {
  await until(`${host.address} has the VIP`, async () => expect(await host.hasVip()).toBe(true));
}

/** Both run, and the first has the VIP. */
async function both(): Promise<void> {
  one.give();
  two.give();
  await one.begin();
  await holds(one);
  await two.begin();
}

const good = { code: 0, said: "" };

describe("keepalived", () => {
  it("gives the VIP to one node, and is found to work on both", async () => {
    await both();
    expect(await Promise.all([one.alive(), two.alive()])).toEqual([good, good]);
    expect([await one.hasVip(), await two.hasVip()]).toEqual([true, false]);
  });

  it("keeps the VIP where it is while it reads a changed setting, and gives the same answer", async () => {
    await both();
    one.give({ priority: 50 });
    one.reload();
    for (let looks = 0; looks < 20; looks++) {
      expect([await one.hasVip(), await two.hasVip()]).toEqual([true, false]);
      await pause(50);
    }
    expect(await one.alive()).toEqual(good);
    expect(one.log).toContain("Reload complete");
  });

  it("has another virtual router after it was told so, and works", async () => {
    await both();
    for (const host of [one, two]) {
      host.give({ virtualRouterId: 52 });
      host.reload();
    }
    await until("one of them has the VIP", async () =>
      expect([await one.hasVip(), await two.hasVip()].filter(Boolean)).toHaveLength(1),
    );
    expect(await Promise.all([one.alive(), two.alive()])).toEqual([good, good]);
  });

  it("heeds its neighbours alone", async () => {
    const stranger = "10.0.2.66";
    await two.run("ip", "addr", "add", `${stranger}/24`, "dev", "eth0");
    one.give();
    await one.begin();
    await holds(one);
    two.give({ address: stranger, priority: 250 });
    await two.begin();
    await until("it logs that", () => expect(one.log).toContain(`${stranger} not a unicast peer`));
    expect(await two.hasVip()).toBe(true);
    await two.run("ip", "addr", "del", `${stranger}/24`, "dev", "eth0");
    expect(await one.hasVip()).toBe(true);
  });

  it("heeds nobody where it is the only edge node, whatever others say on its network", async () => {
    // Another site's, by multicast: with the same router and more to say.
    two.give({ vip: "10.0.2.20", peers: [], witnesses: [], priority: 250 });
    await two.begin();
    await until("it logs that", () => expect(two.log).toContain("Entering MASTER STATE"));
    one.give({ peers: [], witnesses: ["10.0.2.13", "10.0.2.14"] });
    await one.begin();
    await holds(one);
    expect(await one.alive()).toEqual(good);
    expect(await two.run("ip", "-o", "addr", "show", "dev", "eth0", "to", "10.0.2.20")).toMatchObject({
      said: expect.stringContaining("10.0.2.20") as string,
    });
  });

  it("is found not to work on an interface that is down", async () => {
    await both();
    await one.run("ip", "link", "add", "eth1", "type", "veth", "peer", "name", "eth2");
    one.give({ interface: "eth1" });
    expect((await one.tried()).code).toBe(0);
    one.reload();
    await holds(two);
    expect(await one.alive()).toEqual({
      code: 1,
      said: "keepalived is in state FAULT: eth1 is down, or not there",
    });
  });

  it("is found not to work with a check that fails for no reason, and to work where nginx is down", async () => {
    await both();
    one.put("check-front", "#!/bin/sh\nexit 1\n");
    one.reload();
    await holds(two);
    expect(await one.alive()).toEqual({
      code: 1,
      said: "keepalived is in state FAULT: it takes no part, though the front here works",
    });
    one.is("sick", "");
    expect(await one.alive()).toEqual(good);
  });

  it("is found not to work where nobody has the VIP", async () => {
    // The other host, which keeps it from its turn, has the same router with another address.
    two.give({ vip: "10.0.2.20" });
    await two.begin();
    await until("it logs that", () => expect(two.log).toContain("Entering MASTER STATE"));
    one.give();
    await one.begin();
    expect(await one.alive()).toEqual({
      code: 1,
      said: `keepalived is in state BACKUP: nobody answers at ${vip}, and it does not take it`,
    });
  });
});
