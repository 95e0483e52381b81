import { afterEach, describe, expect, it, vi } from "vitest";
import type { Cluster, ConvergedInputs, StorageOrderInputs } from "../../../hosts/src/contract";
import { DOCKER_SOCKET } from "../../../hosts/src/docker/api";
import { converged } from "../../../hosts/src/services/converged";
import { storageOrder } from "../../../hosts/src/storage/order";
import { swarmMember } from "../../../hosts/src/swarm/member";
import { outOfService } from "../../../hosts/src/swarm/out-of-service";
import { row } from "../../../hosts/src/swarm/turn";
import { sleep } from "../../../hosts/src/time";
import { startManager } from "./support/fake-docker";
import { canSandbox } from "./support/sandbox";
import { engines, memberInputs, type Engine } from "./support/sim-swarm";
import { logged, startServer } from "./support/stop";

/** A clock by which minutes pass at once. */
const after = globalThis.setTimeout;
const impatient = ((work: () => void, ms = 0) => after(work, ms > 100_000 ? 10 : ms)) as typeof setTimeout;
const hurry = (): unknown => vi.spyOn(globalThis, "setTimeout").mockImplementation(impatient);

afterEach(() => void vi.restoreAllMocks());

/** Stands for MinIO on each engine: its client's `ready` ends once the maintenance check says 200. */
class Minio {
  says = 200;
  /** On which engine it was asked, each time. */
  readonly asked: string[] = [];

  constructor(on: readonly Engine[]) {
    for (const engine of on) {
      engine.containers.add(`store-${engine.name}`);
      engine.docker.onUpgrade = (_seen, socket) => {
        this.asked.push(engine.name);
        const look = setInterval(() => this.says === 200 && socket.end(), 20);
        socket.on("close", () => clearInterval(look));
      };
    }
  }
}

const commands = ({ docker }: Engine): string[] =>
  docker.calls("POST", /\/exec$/).map(({ body }) => (JSON.parse(body) as { Cmd: string[] }).Cmd.join(" "));

const question = "mc --quiet --no-color ready local --maintenance";
const limit = "waiting until MinIO can do without this node: no end after (600|59\\d) s";

/** Three managers with MinIO on each. */
async function whole() {
  row.stoppedBy = undefined;
  const all = (await engines("a", "b", "c")) as [Engine, Engine, Engine];
  for (const engine of all) await swarmMember.create(memberInputs(engine, all));
  const managers = all.map(({ connection }) => connection);
  const cluster: Cluster = { managers, storageService: "store" };
  const swarm = all[0].cluster;
  if (!swarm) throw new Error("no Swarm was made");
  return { all, cluster, swarm, minio: new Minio(all) };
}

describe.skipIf(!canSandbox)("a node in the row", () => {
  it.each([412, 503])(
    "goes when MinIO can do without it, and the next when MinIO is whole again, which says %d until then",
    async (refusal) => {
      const { all, cluster, swarm, minio } = await whole();
      const [a, b] = all;
      const changed: string[] = [];
      const change = (engine: Engine) =>
        outOfService(engine.connection, cluster, () => {
          changed.push(engine.name);
          // Its drive has missed something meanwhile.
          minio.says = refusal;
          return Promise.resolve();
        });
      minio.says = refusal;
      const first = change(a);
      await expect.poll(() => minio.asked, { timeout: 10_000 }).toEqual(["a"]);
      const second = change(b);
      const patience = "a: waits for MinIO, which needs its drive or is healing one";
      await expect.poll(() => logged, { timeout: 10_000 }).toContain(patience);
      expect(swarm.moves).toEqual([]);
      minio.says = 200;
      await expect.poll(() => minio.asked, { timeout: 10_000 }).toEqual(["a", "a"]);
      await sleep(500);
      expect(swarm.moves).toEqual(["a drain", "a active"]);
      minio.says = 200;
      await first;
      await expect.poll(() => minio.asked, { timeout: 10_000 }).toEqual(["a", "a", "b", "b"]);
      minio.says = 200;
      await second;
      expect(changed).toEqual(["a", "b"]);
      expect(swarm.moves).toEqual(["a drain", "a active", "b drain", "b active"]);
      expect(new Set([...commands(a), ...commands(b)])).toEqual(new Set([question]));
    },
    40_000,
  );

  it("that MinIO needs for too long is not taken out", async () => {
    const { all, cluster, swarm, minio } = await whole();
    minio.says = 412;
    hurry();
    const fails = outOfService(all[1].connection, cluster, () => Promise.reject(new Error("touched")));
    await expect(fails).rejects.toThrow(new RegExp(`^b: ${limit}$`));
    expect(swarm.moves).toEqual([]);
    expect(all[1].sandbox.read("etc/moorage/out-of-service")).toBeUndefined();
  }, 20_000);

  it("that MinIO heals for too long stops the row", async () => {
    const { all, cluster, swarm, minio } = await whole();
    const heals = outOfService(all[1].connection, cluster, () => {
      minio.says = 503;
      hurry();
      return Promise.resolve();
    });
    await expect(heals).rejects.toThrow(new RegExp(`^b: ${limit}$`));
    vi.restoreAllMocks();
    minio.says = 200;
    const next = outOfService(all[2].connection, cluster, () => Promise.resolve());
    await expect(next).rejects.toThrow(/^c: is left as it is, as b did not come back into service/);
    expect(swarm.moves).toEqual(["b drain", "b active"]);
  }, 20_000);

  it("whose MinIO cannot be asked is not taken out", async () => {
    const { all, cluster, swarm } = await whole();
    all[1].mcEnds = 1;
    const fails = outOfService(all[1].connection, cluster, () => Promise.reject(new Error("touched")));
    await expect(fails).rejects.toThrow(
      /^b: waiting until MinIO can do without this node failed with exit code 1/,
    );
    expect(swarm.moves).toEqual([]);
  }, 20_000);

  it("where no MinIO runs has nothing to wait for", async () => {
    const { all, cluster, swarm, minio } = await whole();
    minio.says = 412;
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
      storageNode: storage.connection,
    };
    return { inputs, state: { ...inputs, fingerprint: "f1" }, minio: new Minio([storage]) };
  }

  it("is done once MinIO has healed what it missed, and not where it is new or the same", async () => {
    const { inputs, state, minio } = await service();
    minio.says = 503;
    await converged.create(inputs);
    await converged.update("store", inputs, inputs);
    expect(minio.asked).toEqual([]);
    let done = false;
    const update = converged.update("store", state, inputs).then(() => (done = true));
    await expect.poll(() => minio.asked, { timeout: 10_000 }).toEqual(["a"]);
    await sleep(500);
    expect(done).toBe(false);
    minio.says = 200;
    await update;
  }, 30_000);

  it("fails with its node's name where that takes too long", async () => {
    const { inputs, state, minio } = await service();
    minio.says = 503;
    hurry();
    await expect(converged.update("store", state, inputs)).rejects.toThrow(new RegExp(`^a: ${limit}$`));
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

  it("is waited for until MinIO can spare it, and no other is", async () => {
    const { inputs, state, minio } = await order();
    minio.says = 412;
    let done = false;
    const update = storageOrder.update("", state, inputs).finally(() => (done = true));
    await expect.poll(() => minio.asked, { timeout: 10_000 }).toEqual(["a"]);
    await sleep(500);
    expect(done).toBe(false);
    minio.says = 200;
    expect(await update).toMatchObject({ oneByOne: true });
    expect(minio.asked).toEqual(["a"]);
  }, 20_000);

  it("fails with its name where that takes too long, and is not asked where all go together", async () => {
    const { inputs, state, minio } = await order();
    minio.says = 503;
    expect(await storageOrder.update("", { ...state, common: "d" }, inputs)).toMatchObject({
      oneByOne: false,
    });
    expect(minio.asked).toEqual([]);
    hurry();
    await expect(storageOrder.update("", state, inputs)).rejects.toThrow(new RegExp(`^a: ${limit}$`));
  }, 20_000);
});
