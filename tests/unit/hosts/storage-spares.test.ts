import * as fs from "node:fs";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Cluster, ConvergedInputs, StorageOrderInputs } from "../../../hosts/src/contract";
import { DOCKER_SOCKET } from "../../../hosts/src/docker/api";
import { converged } from "../../../hosts/src/services/converged";
import { storageOrder } from "../../../hosts/src/storage/order";
import { swarmMember } from "../../../hosts/src/swarm/member";
import { outOfService } from "../../../hosts/src/swarm/out-of-service";
import { row } from "../../../hosts/src/swarm/turn";
import { sleep } from "../../../hosts/src/time";
import { frame, startManager } from "./support/fake-docker";
import { canSandbox } from "./support/sandbox";
import { engines, memberInputs, type Engine } from "./support/sim-swarm";
import { logged, startServer } from "./support/stop";

/** As if eleven minutes had passed. */
const hurry = (): unknown => vi.spyOn(performance, "now").mockReturnValue(performance.now() + 660_000);

afterEach(() => void vi.restoreAllMocks());

/** Stands for MinIO on each engine: its client's `ready` ends with 124 where the maintenance check says no for too long. */
class Minio {
  /** On which engine it was asked, each time. */
  readonly asked: string[] = [];
  /** The state of a drive of which each member says whether it reaches it. */
  reaches = "ok";

  constructor(readonly on: readonly Engine[]) {
    for (const engine of on) {
      engine.containers.add(`store-${engine.name}`);
      engine.docker.onUpgrade = (_seen, socket) => {
        this.asked.push(engine.name);
        const heals = commands(engine).at(-1)?.includes("admin heal") === true;
        socket.end(heals ? frame(1, `{ "state": "ok" }, { "state": "${this.reaches}" }`) : undefined);
      };
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

const question = "timeout 15 mc --quiet --no-color ready local --maintenance";
const limit =
  "cannot do without a drive, for (600|5\\d\\d(\\.\\d+)?) s now: it needs every drive, or heals one";

/** Three managers with MinIO on each. */
async function whole() {
  row.stoppedBy = undefined;
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
    a.sandbox.write("etc/moorage/healing", '#!/bin/sh\nexec healing "$@"\n');
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
    const refusal = expect(fails).rejects.toThrow(new RegExp(`^b: MinIO on c ${limit}$`));
    await expect.poll(() => minio.asked, { timeout: 10_000 }).toContain("c");
    hurry();
    await refusal;
    expect(swarm.moves).toEqual([]);
    expect(all[1].sandbox.read("etc/moorage/out-of-service")).toBeUndefined();
  }, 20_000);

  it("that MinIO heals for too long stops the row", async () => {
    const { all, cluster, swarm, minio } = await whole();
    let gone = false;
    const heals = outOfService(all[1].connection, cluster, () => {
      minio.says(refused, [all[1]]);
      minio.asked.length = 0;
      gone = true;
      return Promise.resolve();
    });
    const stopped = expect(heals).rejects.toThrow(new RegExp(`^b: MinIO ${limit}$`));
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
      /^b: MinIO on c cannot do without a drive, for [\d.]+ s now: no container of store runs here$/,
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

describe.skipIf(!canSandbox)("a member of MinIO that was changed", () => {
  const template = { ContainerSpec: { Image: "minio:2" }, ForceUpdate: 0 };
  const task = {
    ID: "t1",
    NodeID: "n1",
    Spec: template,
    DesiredState: "running",
    Status: { State: "running", Timestamp: "2026-01-01T00:00:00Z" },
  };
  const node = {
    ID: "n1",
    Spec: { Role: "manager", Availability: "active", Labels: {} },
    Description: { Hostname: "a" },
    Status: { State: "ready" },
    ManagerStatus: { Reachability: "reachable" },
  };
  const Spec = { Name: "store", Mode: { Replicated: { Replicas: 1 } }, TaskTemplate: template };

  async function service() {
    const docker = await startManager("a");
    docker
      .on("GET", /^\/nodes$/, () => ({ json: [node] }))
      .on("GET", /^\/services\/store$/, () => ({ json: { ID: "s1", Spec } }))
      .on("GET", /^\/tasks$/, () => ({ json: [task] }));
    const manager = await startServer({ sockets: { [DOCKER_SOCKET]: docker.path } });
    const [storage] = (await engines("a")) as [Engine];
    const inputs: ConvergedInputs = {
      managers: [manager.connection()],
      service: "store",
      fingerprint: "f2",
      timeoutSeconds: 10,
      store: { storageNodes: [storage.connection], services: { a: "store" } },
      storageNode: "a",
    };
    return { inputs, state: { ...inputs, fingerprint: "f1" }, minio: new Minio([storage]) };
  }

  it("is done once MinIO can do without a drive, and not where it is new or the same", async () => {
    const { inputs, state, minio } = await service();
    minio.says(refused);
    await converged.create(inputs);
    await converged.update("store", inputs, inputs);
    expect(minio.asked).toEqual([]);
    let done = false;
    const update = converged.update("store", state, inputs).then(() => (done = true));
    await expect.poll(() => minio.asked, { timeout: 10_000 }).toContain("a");
    await sleep(500);
    expect(done).toBe(false);
    minio.says(0);
    await update;
  }, 30_000);

  it("fails with its node's name where that takes too long", async () => {
    const { inputs, state, minio } = await service();
    minio.says(refused);
    const fails = expect(converged.update("store", state, inputs)).rejects.toThrow(
      new RegExp(`^a: MinIO ${limit}$`),
    );
    await expect.poll(() => minio.asked, { timeout: 10_000 }).toContain("a");
    hurry();
    await fails;
  }, 20_000);
});

describe.skipIf(!canSandbox)("the first member of MinIO to be changed", () => {
  async function order() {
    const all = await engines("a", "b");
    const inputs: StorageOrderInputs = {
      nodes: all.map(({ connection }) => connection),
      services: { a: "store", b: "store" },
      shape: "t",
      common: "c",
      image: "sha256:1",
    };
    return { inputs, state: { ...inputs, shape: "s", oneByOne: false }, minio: new Minio(all) };
  }

  it("is waited for until all members can spare one", async () => {
    const { inputs, state, minio } = await order();
    minio.says(refused, minio.on.slice(1));
    let done = false;
    const update = storageOrder.update("", state, inputs).finally(() => (done = true));
    await expect.poll(() => new Set(minio.asked), { timeout: 10_000 }).toEqual(new Set(["a", "b"]));
    await sleep(500);
    expect(done).toBe(false);
    minio.says(0);
    expect(await update).toMatchObject({ oneByOne: true });
  }, 20_000);

  it("fails with its name where that takes too long, and is not asked where all go together", async () => {
    const { inputs, state, minio } = await order();
    minio.says(refused);
    expect(await storageOrder.update("", { ...state, common: "d" }, inputs)).toMatchObject({
      oneByOne: false,
    });
    expect(minio.asked).toEqual([]);
    const fails = expect(storageOrder.update("", state, inputs)).rejects.toThrow(
      new RegExp(`^a: MinIO (on b )?${limit}$`),
    );
    await expect.poll(() => minio.asked, { timeout: 10_000 }).toContain("a");
    hurry();
    await fails;
  }, 20_000);
});
