import { writeFileSync } from "node:fs";
import { beforeEach, describe, expect, it } from "vitest";
import type { NodeFilesOutputs } from "../../../hosts/src/contract";
import { disruptionLock } from "../../../hosts/src/locks";
import { nodeFiles } from "../../../hosts/src/node-files";
import { outOfService } from "../../../hosts/src/swarm/out-of-service";
import { row } from "../../../hosts/src/swarm/turn";
import { newUpdate } from "../../support/newUpdate";
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
import { logged } from "./support/stop";

const reload = "reload-or-restart paint.service";

beforeEach(newUpdate);

describe.skipIf(!canSandbox)("a part that is changed", () => {
  it("starts and restarts units on one node after the other, and drains none", async () => {
    const all = await hosts("a", "b", "c", "d");
    const state = await made(all, (engine) => part(engine, "blue"));
    const began = performance.now();
    const ends = await updated(all, state, (engine) => part(engine, "red"));
    expect(Object.values(ends)).toEqual(["", "", "", ""]);
    expect((performance.now() - began) / 1000).toBeLessThan(25);
    const lines = happened();
    const order = lines.filter((line) => line.endsWith("begins")).map((line) => line.split(" ")[0]);
    expect([...order].sort()).toEqual(["a", "b", "c", "d"]);
    expect(lines).toEqual(order.flatMap((name) => [`${name} begins`, `${name} ends`]));
    for (const { sandbox } of all) {
      expect(sandbox.read(unitPath)).toBe(text("red"));
      expect(sandbox.told()).toEqual(["daemon-reload", "restart paint.service"]);
    }
  }, 60_000);

  it("has units read files anew on one node after the other, too, and goes back where they cannot", async () => {
    const all = await hosts("a", "b", "c");
    const rules = (words: string) => (engine: Engine) =>
      part(engine, "blue", { files: { "/etc/rules": read(words) } });
    const blue = await made(all, rules("blue"));
    expect(Object.values(await updated(all, blue, rules("red")))).toEqual(["", "", ""]);
    const order = happened().flatMap((line) => (line.endsWith("begins") ? [line.split(" ")[0]] : []));
    expect(happened()).toEqual(order.flatMap((name) => [`${name} begins`, `${name} ends`]));
    for (const { sandbox } of all) expect(sandbox.told()).toEqual([reload]);
    const ends = await updated(all, rules("red"), rules("broken"));
    const first = row.stoppedBy ?? "";
    for (const { name, sandbox } of all) {
      expect(sandbox.read("etc/rules")).toBe("red");
      expect(ends[name]).toContain(name === first ? "went back to what it had before: " : "is left as it is");
      expect(sandbox.told().slice(0, 1)).toEqual(name === first ? [reload] : []);
    }
  }, 60_000);

  it("waits for no turn where it is only written", async () => {
    const all = await hosts("a", "b");
    const motd = (words: string) => (engine: Engine) =>
      part(engine, "blue", { files: part(engine, words).files });
    const state = await made(all, motd("blue"));
    const another = await disruptionLock.acquire();
    const ends = await updated(all, state, motd("red"));
    another();
    expect(Object.values(ends)).toEqual(["", ""]);
    for (const { sandbox } of all) {
      expect(sandbox.read("etc/motd")).toBe("red\n");
      expect(sandbox.told()).toEqual([]);
    }
  }, 30_000);

  it("goes back on the first node where a unit does not start, and the others are left as they are", async () => {
    const all = await hosts("a", "b", "c");
    const state = await made(all, (engine) => part(engine, "blue"));
    const ends = await updated(all, state, (engine) => part(engine, "broken"));
    const first = row.stoppedBy ?? "";
    expect(ends[first]).toMatch(
      new RegExp(`^${first}: went back to what it had before: applying changed files and units failed`),
    );
    for (const { name, sandbox } of all) {
      expect(sandbox.read(unitPath)).toBe(text("blue"));
      expect(sandbox.read("etc/motd")).toBe("blue\n");
      expect(sandbox.read("units/paint.service.active")).toBeDefined();
      if (name === first) continue;
      expect(ends[name]).toMatch(
        new RegExp(
          `^${name}: is left as it is, as ${first} went back to what it had before\\. Mend that one`,
        ),
      );
      expect(sandbox.told()).toEqual([]);
    }
    expect(logged).toContain(`${first}: base: what was changed does not work; going back`);
  }, 60_000);

  it("stops the row for a new unit, too, which is taken away again, and for one that ends after it has started", async () => {
    for (const words of ["broken", "dies"]) {
      newUpdate();
      const all = await hosts("a", "b");
      const state = await made(all, (engine) => part(engine, "blue", { units: {} }));
      const ends = await updated(all, state, (engine) => part(engine, words));
      const first = row.stoppedBy ?? "";
      expect(ends[first]).toMatch(/went back to what it had before: .*out of paint/s);
      for (const { sandbox } of all) {
        expect(sandbox.read(unitPath)).toBeUndefined();
        expect(sandbox.read("etc/motd")).toBe("blue\n");
      }
    }
  }, 60_000);

  it("believes a unit that it has started once that has run for a moment without being started again", async () => {
    const [a] = (await hosts("a")) as [Engine];
    const state = await made([a], (engine) => part(engine, "blue"));
    const began = performance.now();
    const done = nodeFiles.update("", state(a), part(a, "red"));
    await expect.poll(happened, { timeout: 10_000 }).toContain("a ends");
    await new Promise((resolve) => setTimeout(resolve, 1500));
    writeFileSync(a.sandbox.at("units/paint.service.active"), "");
    await done;
    expect((performance.now() - began) / 1000).toBeGreaterThan(3.5);
  }, 30_000);

  it("stops the row where a unit of the host does not take another setting", async () => {
    const all = await hosts("a", "b");
    for (const { sandbox } of all) {
      for (const sign of ["exists", "active"]) writeFileSync(sandbox.at(`units/chronyd.service.${sign}`), "");
    }
    const clock = (setting: string) => (engine: Engine) =>
      part(engine, "blue", { units: { "chronyd.service": { dropIns: { "10-own.conf": setting } } } });
    const state = await made(all, clock("good"));
    const ends = await updated(all, state, clock("broken"));
    expect(Object.values(ends).filter((end) => end.includes(": went back to"))).toHaveLength(1);
    expect(Object.values(ends).filter((end) => end.includes("is left as it is"))).toHaveLength(1);
    for (const { sandbox } of all) {
      expect(sandbox.read("etc/systemd/system/chronyd.service.d/10-own.conf")).toBe("good");
      expect(sandbox.read("units/chronyd.service.active")).toBeDefined();
    }
  }, 30_000);

  it("goes back to a unit that is to run where a refresh has found it stopped", async () => {
    const [a] = (await hosts("a")) as [Engine];
    const state = await made([a], (engine) => part(engine, "blue"));
    a.sandbox.remove("units/paint.service.active");
    const found = (await nodeFiles.read("a/base", state(a)))?.outs as NodeFilesOutputs;
    expect(found.units["paint.service"]?.enabled).toBe("partly");
    await expect(nodeFiles.update("", found, part(a, "broken"))).rejects.toThrow("went back");
    expect(a.sandbox.read("units/paint.service.active")).toBeDefined();
  }, 30_000);

  it("says so where what was there before does not work either", async () => {
    const [a] = (await hosts("a")) as [Engine];
    const before = part(a, "broken before");
    await expect(nodeFiles.create(before)).rejects.toThrow("out of paint");
    await expect(nodeFiles.update("", before, part(a, "broken"))).rejects.toThrow(
      /^a: applying changed files/,
    );
    expect(logged.join("\n")).toMatch(/^warning: a: base: what it had before does not work either: /m);
    expect(row).toEqual({ stoppedBy: "a", reason: "could not be changed" });
    // Tried again, there is nothing to go back to.
    newUpdate();
    logged.length = 0;
    await expect(nodeFiles.update("", before, before)).rejects.toThrow(/^a: applying changed files/);
    expect(logged.join("\n")).not.toContain("going back");
  }, 30_000);

  it("is changed on the others where a node is off, which keeps nobody waiting", async () => {
    const all = await hosts("a", "b");
    const state = await made(all, (engine) => part(engine, "blue"));
    await all[0]?.off();
    const ends = await updated(all, state, (engine) => part(engine, "red"));
    expect(ends.a).toMatch(/^a: no SSH connection/);
    expect(ends.b).toBe("");
    expect(row.stoppedBy).toBeUndefined();
  }, 60_000);

  it("waits for no turn on a node without its Docker, which those before it may wait for", async () => {
    const [a] = (await hosts("a")) as [Engine];
    const state = await made([a], (engine) => part(engine, "blue"));
    a.docker.down = true;
    const another = await disruptionLock.acquire();
    await nodeFiles.update("", state(a), part(a, "red"));
    another();
    expect(a.sandbox.read(unitPath)).toBe(text("red"));
    // One that fails stops the row all the same, and is stopped by it.
    await expect(nodeFiles.update("", part(a, "red"), part(a, "broken"))).rejects.toThrow("went back");
    expect(row.stoppedBy).toBe("a");
    row.stoppedBy = "z";
    await expect(nodeFiles.update("", part(a, "red"), part(a, "blue"))).rejects.toThrow(
      /^a: is left as it is, as z/,
    );
  }, 30_000);
});

describe.skipIf(!canSandbox)("a part with what nodes have to agree on", () => {
  it("has that at once, and nothing of the rest before all nodes have it", async () => {
    const all = await hosts("a", "b", "c");
    const [a, b, c] = all as [Engine, Engine, Engine];
    const state = await made(all, agreeing("blue", "1"));
    const plain = part(a, "blue", { part: "plain", units: {}, files: {} });
    const another = await disruptionLock.acquire();
    c.sandbox.write("hold", "");
    const done = updated(all, state, agreeing("red", "2"));
    for (const { sandbox } of [a, b])
      await expect.poll(() => sandbox.read("systemctl.log"), { timeout: 10_000 }).toContain(reload);
    another();
    // Nor has anything else its turn.
    const other = nodeFiles.update("", plain, { ...plain, files: { "/etc/other": read("1") } });
    await new Promise((resolve) => setTimeout(resolve, 1500));
    for (const { sandbox } of all) {
      expect([sandbox.read("etc/agreed"), sandbox.read("etc/rules")]).toEqual(["2", "blue"]);
    }
    c.sandbox.remove("hold");
    expect(Object.values(await done)).toEqual(["", "", ""]);
    await other;
    const turns = happened().slice(6);
    expect(turns).toHaveLength(8);
    for (let at = 0; at < turns.length; at += 2)
      expect(turns[at + 1]).toBe(turns[at]?.replace("begins", "ends"));
  }, 60_000);

  it("waits for no turn where nothing else changes", async () => {
    const all = await hosts("a", "b");
    const state = await made(all, agreeing("blue", "1"));
    const another = await disruptionLock.acquire();
    expect(Object.values(await updated(all, state, agreeing("blue", "2")))).toEqual(["", ""]);
    another();
    for (const { sandbox } of all) {
      expect(sandbox.read("etc/agreed")).toBe("2");
      expect(sandbox.told()).toEqual([reload]);
    }
  }, 30_000);

  it("keeps that where the rest goes back, as is recorded, and goes on from there", async () => {
    const all = await hosts("a", "b", "c");
    const state = await made(all, agreeing("blue", "1"));
    const ends = await ended(all, state, agreeing("broken", "2"));
    const first = row.stoppedBy ?? "";
    for (const [at, { name, sandbox }] of all.entries()) {
      const message = expect.stringContaining(name === first ? "went back to" : "is left as it is") as string;
      const properties = agreeing("blue", "2")(all[at] as Engine);
      expect(ends[at]).toMatchObject({ reason: { id: `${name}/base`, properties, message } });
      expect([sandbox.read("etc/agreed"), sandbox.read("etc/rules")]).toEqual(["2", "blue"]);
      expect(sandbox.told().slice(0, 2)).toEqual(name === first ? [reload, reload] : [reload]);
    }
    newUpdate();
    await updated(all, agreeing("blue", "2"), agreeing("red", "2"));
    for (const { sandbox } of all) expect(sandbox.read("etc/rules")).toBe("red");
  }, 60_000);

  it("goes back on each node where that does not work, and has nothing of the rest", async () => {
    const all = await hosts("a", "b");
    const state = await made(all, agreeing("blue", "1"));
    const ends = await ended(all, state, agreeing("red", "broken"));
    for (const [at, { name, sandbox }] of all.entries()) {
      expect(ends[at]).toHaveProperty("reason.message", expect.stringContaining(`${name}: went back to `));
      expect(ends[at]).not.toHaveProperty("reason.properties");
      expect([sandbox.read("etc/agreed"), sandbox.read("etc/rules")]).toEqual(["1", "blue"]);
    }
  }, 30_000);

  it("stops the row for those that it works on, too", async () => {
    const all = await hosts("a", "b");
    const state = await made(all, agreeing("blue", "1"));
    const ends = await updated(all, state, (engine) =>
      agreeing("red", engine.name === "a" ? "broken" : "2")(engine),
    );
    expect(ends["a"]).toMatch(/^a: went back to what it had before: /);
    expect(ends["b"]).toMatch(/^b: is left as it is, as a went back to what it had before\./);
    expect(all[1]?.sandbox.read("etc/agreed")).toBe("2");
  }, 30_000);

  it("is changed on the others where a node is off", async () => {
    const all = await hosts("a", "b");
    const state = await made(all, agreeing("blue", "1"));
    await all[0]?.off();
    const ends = await updated(all, state, agreeing("red", "2"));
    expect(ends["a"]).toMatch(/^a: no SSH connection/);
    expect(ends["b"]).toBe("");
    expect(all[1]?.sandbox.read("etc/rules")).toBe("red");
  }, 60_000);
});

describe.skipIf(!canSandbox)("a part that restarts Docker", () => {
  it("does so for a drop-in that leaves, which the preview says, one drained node at a time", async () => {
    const { all, members, withDropIn, state } = await swarm();
    for (const engine of all) nodeFiles.diff(state(engine), withDropIn(engine, {}));
    expect(logged.slice(-3)).toEqual(
      ["a", "b", "c"].map(
        (name) =>
          `${name}: this update removes /${dropInPath}; restarts docker.service, the node drained meanwhile`,
      ),
    );
    const ends = await updated(all, state, (engine) => withDropIn(engine, {}));
    expect(Object.values(ends)).toEqual(["", "", ""]);
    const order = members.moves.filter((move) => move.endsWith("drain")).map((move) => move.split(" ")[0]);
    expect([...order].sort()).toEqual(["a", "b", "c"]);
    expect(members.moves).toEqual(order.flatMap((name) => [`${name} drain`, `${name} active`]));
    for (const { sandbox } of all) {
      expect(sandbox.read(dropInPath)).toBeUndefined();
      expect(sandbox.told()).toEqual(["daemon-reload", "restart docker.service"]);
    }
  }, 60_000);

  it("puts its files there when it is the node's turn, and not before", async () => {
    const { all, withDropIn, state } = await swarm();
    const [, b] = all;
    const another = await disruptionLock.acquire();
    const done = nodeFiles.update("", state(b), withDropIn(b, {}));
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(b.sandbox.read(dropInPath)).toBeDefined();
    another();
    await done;
    expect(b.sandbox.read(dropInPath)).toBeUndefined();
  }, 60_000);

  it("goes back where Docker does not start, in service again, and the others are left as they are", async () => {
    const { all, members, withDropIn, state } = await swarm();
    const ends = await updated(all, state, (engine) => withDropIn(engine, { "10-proxy.conf": "broken" }));
    const first = row.stoppedBy ?? "";
    expect(ends[first]).toMatch(new RegExp(`^${first}: went back to what it had before: `));
    expect(members.moves).toEqual([`${first} drain`, `${first} active`]);
    for (const { name, sandbox } of all) {
      expect(sandbox.read(dropInPath)).toBe("[Service]\n");
      expect(sandbox.read("units/docker.service.active")).toBeDefined();
      expect(sandbox.read("etc/moorage/out-of-service")).toBeUndefined();
      if (name !== first) expect(ends[name]).toContain(`is left as it is, as ${first} went back to`);
    }
  }, 60_000);

  it("that was cut off is finished by the next update, by what is noted on the node", async () => {
    const { all, members, withDropIn, state } = await swarm();
    const [, b] = all;
    b.sandbox.remove(dropInPath);
    b.sandbox.write("run/moorage/pending-base", "daemon-reload\nrestart docker.service\n");
    await nodeFiles.update("", state(b), withDropIn(b, {}));
    expect(members.moves).toEqual(["b drain", "b active"]);
    expect(b.sandbox.told()).toEqual(["daemon-reload", "restart docker.service"]);
    expect(b.sandbox.read("run/moorage/pending-base")).toBeUndefined();
  }, 60_000);

  it("does so in its turn where that was cut off, though nodes agree on something before", async () => {
    const { all, cluster, members } = await swarm();
    const [, b] = all;
    const state = await made([b], agreeing("blue", "1"));
    b.sandbox.write("run/moorage/pending-base", "restart docker.service\n");
    const another = await disruptionLock.acquire();
    const done = nodeFiles.update("", state(b), { ...agreeing("blue", "2")(b), cluster });
    await expect.poll(() => b.sandbox.read("etc/agreed"), { timeout: 10_000 }).toBe("2");
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(b.sandbox.told()).toEqual([]);
    another();
    await done;
    expect(members.moves).toEqual(["b drain", "b active"]);
    expect(b.sandbox.told()).toEqual(["restart docker.service", reload]);
  }, 60_000);

  it("does not where only another unit changes; a node left drained is put back before its turn", async () => {
    const { all, cluster, members, withDropIn, state } = await swarm();
    const [, b] = all;
    const cut = outOfService(b.connection, cluster, () => Promise.reject(new Error("cut off")));
    await expect(cut).rejects.toThrow("cut off");
    newUpdate();
    const another = await disruptionLock.acquire();
    const dropIns = { "10-proxy.conf": "[Service]\n" };
    const done = nodeFiles.update("", state(b), withDropIn(b, dropIns, "red"));
    await expect.poll(() => members.moves, { timeout: 10_000 }).toEqual(["b drain", "b active"]);
    expect(b.sandbox.read(unitPath)).toBe(text("blue"));
    another();
    await done;
    expect(b.sandbox.read(unitPath)).toBe(text("red"));
    expect(members.moves).toEqual(["b drain", "b active"]);
  }, 60_000);

  it("puts back into service a node that was left drained without its Docker", async () => {
    const { all, cluster, members, withDropIn, state } = await swarm();
    const [, , c] = all;
    const cut = outOfService(c.connection, cluster, () => Promise.reject(new Error("cut off")));
    await expect(cut).rejects.toThrow("cut off");
    newUpdate();
    c.docker.down = true;
    const changing = nodeFiles.update("", state(c), withDropIn(c, {}));
    await expect.poll(() => c.sandbox.read(dropInPath), { timeout: 10_000 }).toBeUndefined();
    c.docker.down = false;
    await changing;
    expect(members.moves).toEqual(["c drain", "c active"]);
    expect(c.sandbox.read("etc/moorage/out-of-service")).toBeUndefined();
  }, 60_000);
});
