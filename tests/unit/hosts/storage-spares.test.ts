import * as fs from "node:fs";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Cluster, StorageTurnInputs, Store } from "../../../hosts/src/contract";
import { storageSpares } from "../../../hosts/src/storage/spare";
import { storageTurn } from "../../../hosts/src/storage/turn";
import { swarmMember } from "../../../hosts/src/swarm/member";
import { outOfService } from "../../../hosts/src/swarm/out-of-service";
import { newUpdate } from "../../support/newUpdate";
import { sleep } from "../../../hosts/src/time";
import { frame } from "./support/fake-docker";
import { canSandbox } from "./support/sandbox";
import { engines, memberInputs, type Engine } from "./support/sim-swarm";
import { logged } from "./support/stop";

/** As if eleven minutes had passed. */
const hurry = (): unknown => vi.spyOn(performance, "now").mockReturnValue(performance.now() + 660_000);

afterEach(() => void vi.restoreAllMocks());

/** Stands for MinIO on each engine: its client's `ready` ends with 124 where the maintenance check says no for too long. */
class Minio {
  /** On which engine it was asked, each time. */
  readonly asked: string[] = [];
  /** The state of a drive of which each member says whether it reaches it. */
  reaches = "ok";
  /** Whether it says what it stores. */
  lists = true;

  constructor(readonly on: readonly Engine[]) {
    for (const engine of on) {
      engine.containers.add(`store-${engine.name}`);
      const heals = () => commands(engine).at(-1)?.includes("admin heal") === true;
      engine.docker.onUpgrade = (_seen, socket) => {
        this.asked.push(engine.name);
        socket.end(heals() ? frame(1, `{ "state": "ok" }, { "state": "${this.reaches}" }`) : undefined);
      };
      engine.docker.on("GET", /^\/exec\/exec\/json$/, () => ({
        json: { ExitCode: heals() && !this.lists ? 1 : engine.mcEnds },
      }));
    }
  }

  says(ends: number, engines: readonly Engine[] = this.on): void {
    for (const engine of engines) engine.mcEnds = ends;
  }
}

/** Of `timeout`. */
const refused = 124;

const commands = ({ docker }: Engine): string[] =>
  docker.calls("POST", /\/exec$/).map(({ body }) => (JSON.parse(body) as { Cmd: string[] }).Cmd.join(" "));

/** As the renderer writes it, with another way to settle. */
const healingScript = (settle: string): string => `#!/bin/sh\nsettle() {\n    ${settle}\n}\n"$1"\n`;

const question = "timeout 15 mc --quiet --no-color ready local --maintenance";
const limit = "cannot do without a drive, for (600|5\\d\\d) s now: it needs every drive, or heals one";

/** Three managers with MinIO on each. */
async function whole() {
  newUpdate();
  const all = (await engines("a", "b", "c")) as [Engine, Engine, Engine];
  for (const engine of all) await swarmMember.create(memberInputs(engine, all));
  const managers = all.map(({ connection }) => connection);
  const services = { a: "store", b: "store", c: "store" };
  const cluster: Cluster = { managers, store: { storageNodes: managers, services } };
  const swarm = all[0].cluster;
  if (!swarm) throw new Error("no Swarm was made");
  return { all, cluster, swarm, minio: new Minio(all) };
}

describe.skipIf(!canSandbox)("a node in the row", () => {
  it("goes when every member can do without one, and the next when they can again", async () => {
    const { all, cluster, swarm, minio } = await whole();
    const [a, b, c] = all;
    const changed: string[] = [];
    const change = (engine: Engine) =>
      outOfService(engine.connection, cluster, () => {
        changed.push(engine.name);
        // One of the others does not reach it any more.
        minio.says(refused, [c]);
        return Promise.resolve();
      });
    minio.says(refused, [c]);
    const first = change(a);
    await expect.poll(() => new Set(minio.asked), { timeout: 10_000 }).toEqual(new Set(["a", "b", "c"]));
    const second = change(b);
    const patience = "a: waits for MinIO, whose members do not all reach each other, or fill a drive";
    await expect.poll(() => logged, { timeout: 10_000 }).toContain(patience);
    expect(swarm.moves).toEqual([]);
    minio.says(0);
    await expect.poll(() => swarm.moves, { timeout: 10_000 }).toEqual(["a drain", "a active"]);
    await sleep(3000);
    expect(changed).toEqual(["a"]);
    minio.says(0);
    await first;
    await expect.poll(() => changed, { timeout: 10_000 }).toEqual(["a", "b"]);
    minio.says(0);
    await second;
    expect(swarm.moves).toEqual(["a drain", "a active", "b drain", "b active"]);
    const questions = new Set(all.flatMap(commands));
    expect([...questions]).toEqual([question, expect.stringMatching(/^sh -c .* admin heal --recursive "/s)]);
  }, 40_000);

  it("goes once every member reaches all drives by what it writes with", async () => {
    const { all, cluster, swarm, minio } = await whole();
    minio.reaches = "offline";
    const goes = outOfService(all[1].connection, cluster, () => Promise.resolve());
    await expect.poll(() => minio.asked.length, { timeout: 10_000 }).toBeGreaterThan(4);
    expect(swarm.moves).toEqual([]);
    minio.reaches = "ok";
    await goes;
    expect(swarm.moves).toEqual(["b drain", "b active"]);
  }, 20_000);

  it("goes once what drives have missed is healed, before it and after it", async () => {
    const { all, cluster, swarm } = await whole();
    const [a, b] = all;
    const script = (ends: number) =>
      a.sandbox.tool("healing", `#!/bin/sh\necho "$1" >> "$0.log"; exit ${ends}\n`);
    a.sandbox.write("etc/moorage/healing", healingScript("healing settle"));
    fs.chmodSync(a.sandbox.at("etc/moorage/healing"), 0o755);
    script(1);
    let done = false;
    const goes = outOfService(b.connection, cluster, () => Promise.resolve()).then(() => (done = true));
    const patience = "b: waits until all of MinIO's drives hold what was written while one was away";
    await expect.poll(() => logged, { timeout: 10_000 }).toContain(patience);
    expect([swarm.moves, done]).toEqual([[], false]);
    script(0);
    await goes;
    expect(swarm.moves).toEqual(["b drain", "b active"]);
  }, 40_000);

  it("that MinIO needs for too long is not taken out", async () => {
    const { all, cluster, swarm, minio } = await whole();
    minio.says(refused, [all[2]]);
    const fails = outOfService(all[1].connection, cluster, () => Promise.reject(new Error("touched")));
    const refusal = expect(fails).rejects.toThrow(new RegExp(`^b: MinIO on c ${limit}`));
    await expect.poll(() => minio.asked, { timeout: 10_000 }).toContain("c");
    hurry();
    await refusal;
    expect(swarm.moves).toEqual([]);
    expect(all[1].sandbox.read("etc/moorage/out-of-service")).toBeUndefined();
  }, 20_000);

  it("goes by what managers said last where MinIO took its time", async () => {
    const { all, cluster, swarm, minio } = await whole();
    const [, b, c] = all;
    minio.says(refused);
    const goes = outOfService(b.connection, cluster, () => Promise.resolve());
    await expect.poll(() => minio.asked, { timeout: 10_000 }).toContain("c");
    const away = c.member();
    if (!away) throw new Error("it is no member");
    away.down = true;
    // Two minutes have passed since the managers were asked.
    const now = performance.now.bind(performance);
    vi.spyOn(performance, "now").mockImplementation(() => now() + 120_000);
    minio.says(0);
    await expect
      .poll(() => logged.join("\n"), { timeout: 10_000 })
      .toMatch(/b: waits to be changed: .*as c is not there/);
    expect(swarm.moves).toEqual([]);
    away.down = false;
    await goes;
    expect(swarm.moves).toEqual(["b drain", "b active"]);
  }, 30_000);

  it("that MinIO heals for too long stops the row", async () => {
    const { all, cluster, swarm, minio } = await whole();
    let gone = false;
    const heals = outOfService(all[1].connection, cluster, () => {
      minio.says(refused, [all[1]]);
      minio.asked.length = 0;
      gone = true;
      return Promise.resolve();
    });
    const stopped = expect(heals).rejects.toThrow(new RegExp(`^b: MinIO ${limit}`));
    await expect.poll(() => gone && minio.asked.includes("b"), { timeout: 15_000 }).toBe(true);
    hurry();
    await stopped;
    vi.restoreAllMocks();
    minio.says(0);
    const next = outOfService(all[2].connection, cluster, () => Promise.resolve());
    await expect(next).rejects.toThrow(/^c: is left as it is, as b did not come back into service/);
    expect(swarm.moves).toEqual(["b drain", "b active"]);
  }, 30_000);

  it("waits for a member that does not run elsewhere", async () => {
    const { all, cluster, swarm } = await whole();
    all[2].containers.clear();
    const fails = outOfService(all[1].connection, cluster, () => Promise.reject(new Error("touched")));
    const refusal = expect(fails).rejects.toThrow(
      /^b: MinIO on c cannot do without a drive, for 600 s now: no container of store runs here\. Mend that/,
    );
    const looks = () => all[2].docker.calls("GET", /^\/containers\/json$/).length;
    await expect.poll(looks, { timeout: 10_000 }).toBeGreaterThan(0);
    hurry();
    await refusal;
    expect(swarm.moves).toEqual([]);
  }, 20_000);

  it("where no MinIO runs has nothing to wait for", async () => {
    const { all, cluster, swarm, minio } = await whole();
    minio.says(refused);
    all[1].containers.clear();
    await outOfService(all[1].connection, cluster, () => Promise.resolve());
    expect(swarm.moves).toEqual(["b drain", "b active"]);
    expect(minio.asked).toEqual([]);
  }, 20_000);
});

describe.skipIf(!canSandbox)("a member of MinIO that is to be changed", () => {
  async function members() {
    const all = (await engines("a", "b", "c")) as [Engine, Engine, Engine];
    const storageNodes = all.map(({ connection }) => connection);
    const store: Store = { storageNodes, services: { a: "store", b: "store", c: "store" } };
    return { all, store, minio: new Minio(all) };
  }

  it("waits where it was not seen yet to run as what is wanted, and the others go on serving", async () => {
    const { store, minio } = await members();
    minio.says(refused);
    const inputs = { node: "a", store, fingerprint: "f2", recorded: "f1", run: "now", oneByOne: true };
    const changes = (now: StorageTurnInputs) =>
      storageTurn.diff({ ...inputs, fingerprint: "f2", run: "before" }, now).changes;
    const noWait: StorageTurnInputs[] = [
      { ...inputs, oneByOne: false },
      { ...inputs, recorded: "f2" },
      { ...inputs, recorded: undefined },
    ];
    for (const each of noWait) {
      await storageTurn.create(each);
      await storageTurn.update("a", inputs, each);
    }
    expect(minio.asked).toEqual([]);
    expect(noWait.map(changes)).toEqual([true, false, false]);
    // An update was cut off after it had waited, and before the member was another one.
    expect(changes(inputs)).toBe(true);
    expect(changes({ ...inputs, recorded: undefined, fingerprint: "f3" })).toBe(true);
    for (const turn of [() => storageTurn.create(inputs), () => storageTurn.update("a", inputs, inputs)]) {
      minio.says(refused);
      minio.asked.length = 0;
      let done = false;
      const waits = turn().then(() => (done = true));
      await expect.poll(() => new Set(minio.asked).size, { timeout: 10_000 }).toBe(3);
      expect(done).toBe(false);
      minio.says(0);
      await waits;
    }
  }, 40_000);

  it("waits for another that does not run, the first one included", async () => {
    const { all, store } = await members();
    all[0].containers.clear();
    const fails = expect(storageSpares("b", store)).rejects.toThrow(
      /^b: MinIO on a cannot do without a drive, for 600 s now: no container of store runs here\. Mend that/,
    );
    const looks = () => all[0].docker.calls("GET", /^\/containers\/json$/).length;
    await expect.poll(looks, { timeout: 10_000 }).toBeGreaterThan(0);
    hurry();
    await fails;
  }, 20_000);

  it("is taken for running where its Docker does not say", async () => {
    const { all, store, minio } = await members();
    all[1].docker.on("GET", /^\/containers\/json$/, () => ({ status: 500, json: { message: "busy" } }));
    const fails = expect(storageSpares("b", store)).rejects.toThrow(
      /^b: MinIO cannot do without a drive, for 600 s now: Docker, looking for a container of store: busy/,
    );
    await expect.poll(() => minio.asked, { timeout: 10_000 }).toContain("a");
    hurry();
    await fails;
  }, 20_000);

  it("does not go by an answer that was cut off, or by a list that failed", async () => {
    const { all, store, minio } = await members();
    minio.says(137, [all[1]]);
    const cut = expect(storageSpares("a", store)).rejects.toThrow(/`mc ready` ended with exit code 137/);
    await expect.poll(() => minio.asked, { timeout: 10_000 }).toContain("b");
    hurry();
    await cut;
    vi.restoreAllMocks();
    minio.says(0);
    minio.lists = false;
    for (const { docker } of all) docker.seen.length = 0;
    const unlisted = expect(storageSpares("a", store)).rejects.toThrow(
      /it does not say which drives it reaches \(exit code 1\)/,
    );
    await expect.poll(() => all.flatMap(commands).join(), { timeout: 10_000 }).toContain("ls --recursive");
    hurry();
    await unlisted;
  }, 120_000);

  it("asks the first one, too, whether it reaches all drives where nothing heals there, or by an earlier script", async () => {
    const { all, store } = await members();
    const asksFirst = () => commands(all[0]).some((line) => line.includes("admin heal"));
    await storageSpares("b", store);
    expect(asksFirst()).toBe(true);
    for (const [script, asks] of [
      ["#!/bin/sh\nexit 64\n", true],
      [healingScript("exit 0"), false],
    ] as const) {
      all[0].docker.seen.length = 0;
      all[0].sandbox.write("etc/moorage/healing", script);
      fs.chmodSync(all[0].sandbox.at("etc/moorage/healing"), 0o755);
      await storageSpares("b", store);
      expect(asksFirst(), script).toBe(asks);
    }
  }, 20_000);

  it("says what to do where it is its own drive that is not well", async () => {
    const { store, minio } = await members();
    minio.says(refused);
    const fails = expect(storageSpares("b", store)).rejects.toThrow(
      /own drive that is not well, take it away first: `docker service scale --detach store=0` on a manager$/,
    );
    await expect.poll(() => minio.asked, { timeout: 10_000 }).toContain("a");
    hurry();
    await fails;
  }, 20_000);
});
