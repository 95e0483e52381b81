/** A real keepalived with what a node gets, on two hosts of a network of their own. */
import { afterEach, describe, expect, it } from "vitest";
import { pause, until } from "../../support/waiting";
import { twoHosts, type Host } from "../../unit/render/programs/keepalivedHost";

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
  await until("the other waits", () => expect(two.log).toContain("Entering BACKUP STATE"));
}

const holders = () => Promise.all([one.hasVip(), two.hasVip()]);

describe("keepalived", () => {
  it("moves the VIP from a node whose check fails, and leaves it there", async () => {
    await both();
    expect(await holders()).toEqual([true, false]);
    one.isSick(true);
    await holds(two);
    expect(await holders()).toEqual([false, true]);
    one.isSick(false);
    await until("it may hold the VIP again", () =>
      expect(one.log).toMatch(/Entering FAULT STATE[^]*Entering BACKUP STATE/),
    );
    expect(await holders()).toEqual([false, true]);
  });

  it("leaves the VIP behind when it is killed, and the unit removes it", async () => {
    await both();
    await one.kill();
    await holds(two);
    expect(await holders()).toEqual([true, true]);
    await one.runStopPost();
    expect(await holders()).toEqual([false, true]);
  });

  it("keeps the VIP where it is while it reads a changed setting", async () => {
    await both();
    one.give({ priority: 50 });
    one.reload();
    for (let looks = 0; looks < 20; looks++) {
      expect(await holders()).toEqual([true, false]);
      await pause(50);
    }
    expect(one.log).toContain("Reload complete");
  });

  it("has another virtual router once it was told so", async () => {
    await both();
    for (const host of [one, two]) {
      host.give({ virtualRouterId: 52 });
      host.reload();
    }
    await until("one of them has the VIP", async () =>
      expect((await holders()).filter(Boolean)).toHaveLength(1),
    );
  });

  it("obeys its neighbours alone", async () => {
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

  it("obeys no multicast where it is the only edge node", async () => {
    // Another site's, with the same virtual router and a higher priority.
    two.give({ vip: "10.0.2.20", peers: [], priority: 250 });
    await two.begin();
    await until("it logs that", () => expect(two.log).toContain("Entering MASTER STATE"));
    one.give({ peers: [], others: ["10.0.2.13", "10.0.2.14"] });
    await one.begin();
    await holds(one);
    expect(await one.hasVip()).toBe(true);
    expect(await two.run("ip", "-o", "addr", "show", "dev", "eth0", "to", "10.0.2.20")).toMatchObject({
      said: expect.stringContaining("10.0.2.20") as string,
    });
  });
});
