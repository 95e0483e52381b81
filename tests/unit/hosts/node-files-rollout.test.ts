import { beforeEach, describe, expect, it } from "vitest";
import { disruptionLock } from "../../../hosts/src/locks";
import { nodeFiles } from "../../../hosts/src/node-files";
import { row } from "../../../hosts/src/swarm/turn";
import { newUpdate } from "../../support/newUpdate";
import { until } from "../../support/waiting";
import {
  agreeing,
  dropInPath,
  ended,
  happened,
  hosts,
  made,
  part,
  read,
  swarm,
  text,
  unitPath,
  updated,
} from "./support/painters";
import { canSandbox } from "./support/sandbox";
import type { Engine } from "./support/sim-swarm";
import { hurry, logged } from "./support/stop";

/** Nothing begins before the one before it has ended. */
function expectInTurn(lines: readonly string[]): void {
  const order = lines.filter((line) => line.endsWith("begins")).map((line) => line.split(" ")[0]);
  expect(lines).toEqual(order.flatMap((name) => [`${name} begins`, `${name} ends`]));
}

beforeEach(newUpdate);

describe.skipIf(!canSandbox)("a changed part", () => {
  it("restarts units on one node after the other, and restores the first where one does not start", async () => {
    const all = await hosts("a", "b");
    const blue = await made(all, (engine) => part(engine, "blue"));
    hurry();
    const ends = await updated(all, blue, (engine) => part(engine, "red"));
    expect(Object.values(ends)).toEqual(["", ""]);
    expectInTurn(happened());
    expect(happened()).toHaveLength(4);
    for (const { sandbox } of all) expect(sandbox.told()).toEqual(["daemon-reload", "restart paint.service"]);

    const failures = await updated(
      all,
      (engine) => part(engine, "red"),
      (engine) => part(engine, "broken"),
    );
    const first = row.stoppedBy ?? "";
    for (const { name, sandbox } of all) {
      expect(sandbox.read(unitPath)).toBe(text("red"));
      expect(sandbox.read("etc/motd")).toBe("red\n");
      expect(sandbox.read("units/paint.service.active")).toBeDefined();
      const end =
        name === first
          ? "went back to what it had before: applying changed files and units failed"
          : `is left as it is, as ${first} went back to what it had before. Mend that one`;
      expect(failures[name]).toContain(`${name}: ${end}`);
      if (name !== first) expect(sandbox.told()).toEqual([]);
    }
    expect(logged).toContain(`${first}: base: what was changed does not work; going back`);
  });

  it("removes a new unit that does not run on, or does not start", async () => {
    for (const words of ["broken", "dies"]) {
      newUpdate();
      const [a] = (await hosts("a")) as [Engine];
      const state = await made([a], (engine) => part(engine, "blue", { units: {} }));
      if (words === "dies") hurry(() => a.sandbox.remove("units/paint.service.active"));
      const ends = await updated([a], state, (engine) => part(engine, words));
      expect(ends["a"]).toMatch(/went back to what it had before: .*out of paint/s);
      expect(a.sandbox.read(unitPath)).toBeUndefined();
      expect(a.sandbox.read("etc/motd")).toBe("blue\n");
    }
  });

  it("is changed on the other nodes where one is off, and where Docker is down", async () => {
    const all = (await hosts("a", "b")) as [Engine, Engine];
    const state = await made(all, agreeing("blue", "1"));
    await all[0].off();
    all[1].docker.down = true;
    // Those before it may wait for its Docker.
    const another = await disruptionLock.acquire();
    hurry();
    const ends = await updated(all, state, agreeing("red", "2"));
    another();
    expect(ends["a"]).toMatch(/^a: no SSH connection/);
    expect(ends["b"]).toBe("");
    expect(all[1].sandbox.read("etc/rules")).toBe("red");
    expect(row.stoppedBy).toBeUndefined();
  });
});

describe.skipIf(!canSandbox)("what nodes have to agree on", () => {
  it("is in place on all nodes before anything else begins", async () => {
    const all = await hosts("a", "b");
    const [a, b] = all as [Engine, Engine];
    const state = await made(all, agreeing("blue", "1"));
    const plain = part(a, "blue", { part: "plain", units: {}, files: {} });
    b.sandbox.write("hold", "");
    const done = updated(all, state, agreeing("red", "2"));
    const other = nodeFiles.update("", plain, { ...plain, files: { "/etc/other": read("1") } });
    const reloaded = () =>
      expect(a.sandbox.read("systemctl.log")).toContain("reload-or-restart paint.service");
    await until("the other node", reloaded, { everyMs: 20 });
    for (const { sandbox } of all)
      expect([sandbox.read("etc/agreed"), sandbox.read("etc/rules")]).toEqual(["2", "blue"]);
    hurry();
    b.sandbox.remove("hold");
    expect(Object.values(await done)).toEqual(["", ""]);
    await other;
    // Two reloads beside each other, then one of each change in turn.
    expectInTurn(happened().slice(4));
    expect(happened()).toHaveLength(10);
  });

  it("stays where the rest goes back, and goes back itself where it does not work", async () => {
    const all = await hosts("a", "b");
    const state = await made(all, agreeing("blue", "1"));
    hurry();
    const ends = await ended(all, state, agreeing("broken", "2"));
    const first = row.stoppedBy ?? "";
    for (const [at, engine] of all.entries()) {
      const { name, sandbox } = engine;
      const message = expect.stringContaining(name === first ? "went back to" : "is left as it is") as string;
      const properties = agreeing("blue", "2")(engine);
      expect(ends[at]).toMatchObject({ reason: { id: `${name}/base`, properties, message } });
      expect([sandbox.read("etc/agreed"), sandbox.read("etc/rules")]).toEqual(["2", "blue"]);
    }
    newUpdate();
    const again = await ended(all, agreeing("blue", "2"), agreeing("red", "broken"));
    for (const [at, { name, sandbox }] of all.entries()) {
      expect(again[at]).toHaveProperty("reason.message", expect.stringContaining(`${name}: went back to `));
      expect(again[at]).not.toHaveProperty("reason.properties");
      expect([sandbox.read("etc/agreed"), sandbox.read("etc/rules")]).toEqual(["2", "blue"]);
    }
  });
});

it.skipIf(!canSandbox)(
  "a part that restarts Docker does so on one drained node after the other",
  async () => {
    const { all, members, withDropIn, state } = await swarm();
    const [, b] = all;
    for (const engine of all) nodeFiles.diff(state(engine), withDropIn(engine, {}));
    const planned = `: this update removes /${dropInPath}; restarts docker.service, the node drained meanwhile`;
    expect(logged.slice(-2)).toEqual(["a", "b"].map((name) => name + planned));
    hurry();

    // Where it does not start it goes back, and the other node is left as it is.
    const ends = await updated(all, state, (engine) => withDropIn(engine, { "10-proxy.conf": "broken" }));
    const first = row.stoppedBy ?? "";
    expect(ends[first]).toMatch(new RegExp(`^${first}: went back to what it had before: `));
    expect(members.moves).toEqual([`${first} drain`, `${first} active`]);
    for (const { name, sandbox } of all) {
      expect(sandbox.read(dropInPath)).toBe("[Service]\n");
      expect(sandbox.read("units/docker.service.active")).toBeDefined();
      expect(sandbox.read("etc/moorage/out-of-service")).toBeUndefined();
      if (name !== first) expect(ends[name]).toContain(`is left as it is, as ${first} went back to`);
      sandbox.told();
    }

    // An update that was cut off is finished by the next one.
    newUpdate();
    members.moves.length = 0;
    b.sandbox.remove(dropInPath);
    b.sandbox.write("run/moorage/pending-base", "daemon-reload\nrestart docker.service\n");
    expect(Object.values(await updated(all, state, (engine) => withDropIn(engine, {})))).toEqual(["", ""]);
    const order = members.moves.filter((move) => move.endsWith("drain")).map((move) => move.split(" ")[0]);
    expect([...order].sort()).toEqual(["a", "b"]);
    expect(members.moves).toEqual(order.flatMap((name) => [`${name} drain`, `${name} active`]));
    for (const { sandbox } of all) {
      expect(sandbox.read(dropInPath)).toBeUndefined();
      expect(sandbox.told()).toEqual(["daemon-reload", "restart docker.service"]);
      expect(sandbox.read("run/moorage/pending-base")).toBeUndefined();
    }
  },
);
