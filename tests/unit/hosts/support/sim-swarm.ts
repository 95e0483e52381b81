/** A few engines that form Swarms with each other, as far as membership goes. */
import { execFileSync } from "node:child_process";
import type { Connection, SwarmMemberInputs } from "../../../../hosts/src/contract";
import { DOCKER_SOCKET } from "../../../../hosts/src/docker/api";
import { FakeDocker, type Seen } from "./fake-docker";
import { Sandbox } from "./sandbox";

interface Member {
  readonly ID: string;
  readonly hostname: string;
  role: "manager" | "worker";
  labels: Record<string, string>;
  availability: "active" | "pause" | "drain";
  version: number;
  down: boolean;
  /** A manager by its entry alone, as others are after `docker swarm init --force-new-cluster`. */
  forgotten?: boolean;
}

const Labels = { "moorage.stack": "moorage/test" };

/** A service of the stack. */
export const global = (id: string, image?: string) => ({
  ID: id,
  Spec: { Name: id, Labels, Mode: { Global: {} }, TaskTemplate: { ContainerSpec: { Image: image } } },
});

const boundTo = (id: string, node: string) => {
  const TaskTemplate = { Placement: { Constraints: [`node.hostname==${node}`] } };
  return { ID: id, Spec: { Name: id, Labels, Mode: { Replicated: { Replicas: 1 } }, TaskTemplate } };
};

/** They begin as real ones do, so that a test finds them wherever they should not be. */
const tokens = { Manager: "SWMTKN-1-manager", Worker: "SWMTKN-1-worker" };

/** One cluster: the list that all its managers share. */
export class Cluster {
  readonly members = new Map<string, Member>();
  services: object[] = [];
  /** Ids of global services, which have a task on every node that takes tasks. */
  everywhere: string[] = [];
  /** Services that are bound to one node, by id: the node's name, and whether they run there. */
  readonly bound = new Map<string, { readonly node: string; runs: boolean }>();
  /** Ids of services whose tasks stay on a node that is drained. */
  readonly staying = new Set<string>();
  /** Ids of services that are to end before a node is drained. */
  readonly endFirst = new Set<string>();
  /** What each change of a node's availability was, and each container that was stopped, in order. */
  readonly moves: string[] = [];
  constructor(
    readonly id: string,
    public spec: object = {},
  ) {}

  /** As `docker service ls` lists them. */
  listed(filters: string | null): object[] {
    const { label } = JSON.parse(filters ?? "{}") as { label?: string[] };
    if (label?.includes("moorage.ends-first")) return [...this.endFirst].map((id) => global(id));
    const bound = [...this.bound].map(([id, { node }]) => boundTo(id, node));
    return [...this.services, ...bound, ...this.everywhere.map((id) => global(id))];
  }

  /** Ids of the services that run on a node which takes tasks. */
  runningOn(name: string): string[] {
    const own = [...this.bound].filter(([, { node, runs }]) => node === name && runs);
    return [...this.everywhere, ...own.map(([id]) => id)];
  }

  managersUp(): number {
    return [...this.members.values()].filter((member) => member.role === "manager" && !member.down).length;
  }

  managers(): number {
    return [...this.members.values()].filter((member) => member.role === "manager").length;
  }

  hasQuorum(): boolean {
    const voters = [...this.members.values()].filter(
      ({ role, forgotten }) => role === "manager" && !forgotten,
    );
    return voters.filter(({ down }) => !down).length * 2 > voters.length;
  }
}

let serial = 0;

/** Where Docker keeps a node's certificate, which names the cluster as its organization. */
const CERTIFICATE = "var/lib/docker/swarm/certificates/swarm-node.crt";
const certificates = new Map<string, string>();

function certificateOf(cluster: string): string {
  const key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout /dev/null";
  const args = `req -x509 ${key} -subj /O=${cluster}/OU=swarm-node/CN=node -days 9`.split(" ");
  const made = certificates.get(cluster) ?? execFileSync("openssl", args, { stdio: "pipe" }).toString();
  certificates.set(cluster, made);
  return made;
}

export class Engine {
  readonly docker = new FakeDocker();
  sandbox!: Sandbox;
  cluster: Cluster | undefined;
  nodeId = "";
  /** Containers of the Swarm's tasks that are still there, by id. */
  readonly containers = new Set<string>();
  /** Its Docker has restarted with autolock, and waits for the key. */
  locked = false;
  /** What MinIO's client on it ends with; it hangs where there is none. */
  mcEnds: number | undefined = 0;
  /** Whether it can stop containers. */
  stops = true;
  /** How many node updates are refused as out of sequence. */
  busy = 0;
  /** What comes of joining, one by one: an answer after which Docker goes on and is in, or one after which it fails. */
  readonly joins: ("slow" | "failed")[] = [];
  /** Its Docker cannot get, or stay, in its Swarm. */
  failed = false;
  /** What happens as it begins to found or to join a Swarm. */
  meets: () => unknown = () => undefined;
  /** For how many looks it is on its way in. */
  private pending = 0;

  constructor(
    readonly name: string,
    private readonly all: Map<string, Engine>,
  ) {
    const manager = () => this.member()?.role === "manager" && !this.locked;
    /** What only a manager answers. */
    const asManager = (method: string, path: RegExp, answer: (seen: Seen) => object) =>
      this.docker.on(method, path, (seen) => {
        if (!manager()) return { status: 503, json: { message: "This node is not a swarm manager." } };
        if (!this.cluster?.hasQuorum())
          return { status: 500, json: { message: "The swarm does not have a leader." } };
        return { json: answer(seen) };
      });
    asManager("GET", /^\/nodes$/, () => this.list());
    asManager("GET", /^\/services$/, ({ query }) => this.cluster?.listed(query.get("filters")) ?? []);
    asManager("GET", /^\/tasks$/, ({ query }) => this.tasks(query.get("filters")));
    asManager("GET", /^\/swarm$/, () => {
      return { ID: "x", Version: { Index: 1 }, Spec: this.cluster?.spec ?? {}, JoinTokens: tokens };
    });
    asManager("GET", /^\/swarm\/unlockkey$/, () => ({ UnlockKey: "key" }));
    asManager("POST", /^\/swarm\/update$/, ({ body }) => {
      if (this.cluster) this.cluster.spec = JSON.parse(body) as object;
      return {};
    });
    this.serveMembership();
    this.serveContainers();
  }

  private serveMembership(): void {
    const { docker } = this;
    docker.on("GET", /^\/info$/, () => ({ json: this.info() }));
    docker.on("POST", /^\/swarm\/unlock$/, ({ body }) => {
      this.locked = this.locked && (JSON.parse(body) as { UnlockKey?: string }).UnlockKey !== "key";
      return { json: {} };
    });
    docker.on("POST", /^\/swarm\/init$/, ({ body }) => {
      const { Spec } = JSON.parse(body) as { Spec: object };
      return this.enter(new Cluster(`cluster-${(serial += 1)}`, Spec), "manager");
    });
    docker.on("POST", /^\/swarm\/join$/, ({ body }) => this.join(JSON.parse(body) as never));
    docker.on("POST", /^\/swarm\/leave$/, () => this.leave());
    docker.on("GET", /^\/nodes\/[\w-]+$/, ({ path }) => {
      const node = this.list().find(({ ID }) => path === `/nodes/${ID}`);
      return node && { json: node };
    });
    docker.on("POST", /^\/nodes\/[\w-]+\/update$/, ({ path, body, query }) =>
      this.update(path, body, query.get("version")),
    );
    docker.on("DELETE", /^\/nodes\/[\w-]+$/, ({ path }) => {
      const id = path.split("/")[2] ?? "";
      const member = this.cluster?.members.get(id);
      if (member?.role === "manager" && !member.forgotten)
        return { status: 400, json: { message: `node ${id} is a cluster manager` } };
      this.cluster?.members.delete(id);
      return { json: {} };
    });
  }

  private serveContainers(): void {
    const { docker, name } = this;
    docker.on("GET", /^\/containers\/json$/, () => {
      const ends = [...(this.cluster?.endFirst ?? [])];
      const serving = ends.map((Id) => ({ Id, Labels: { "com.docker.swarm.service.id": Id } }));
      return { json: [...[...this.containers].map((Id) => ({ Id })), ...serving] };
    });
    docker.on("POST", /^\/containers\/[\w-]+\/stop$/, ({ path }) => {
      if (!this.stops) return { status: 500, json: { message: "cannot stop it" } };
      this.cluster?.moves.push(`${name} stop ${path.split("/")[2]}`);
      return { json: {} };
    });
    docker.on("POST", /^\/containers\/[\w-]+\/exec$/, () => ({ json: { Id: "exec" } }));
    docker.on("GET", /^\/exec\/exec\/json$/, () => ({ json: { ExitCode: this.mcEnds } }));
    docker.onUpgrade = (_seen, socket) => void (this.mcEnds === undefined || socket.end());
    docker.on("DELETE", /^\/containers\/[\w-]+$/, ({ path }) => {
      this.containers.delete(path.split("/")[2] ?? "");
      return { json: {} };
    });
  }

  async start(): Promise<this> {
    await this.docker.start();
    this.sandbox = await Sandbox.start(
      {},
      { node: this.name, sockets: { [DOCKER_SOCKET]: this.docker.path } },
    );
    return this;
  }

  get connection(): Connection {
    return this.sandbox.server.connection();
  }

  member(): Member | undefined {
    return this.cluster?.members.get(this.nodeId);
  }

  async off(): Promise<void> {
    const member = this.member();
    if (member) member.down = true;
    await this.sandbox.server.stop();
  }

  enter(cluster: Cluster, role: Member["role"]) {
    this.meets();
    this.cluster = cluster;
    this.sandbox.write(CERTIFICATE, certificateOf(cluster.id));
    this.nodeId = `node-${(serial += 1)}`;
    cluster.members.set(this.nodeId, {
      ID: this.nodeId,
      hostname: this.name,
      role,
      labels: {},
      availability: "active",
      version: 1,
      down: false,
    });
    return { json: this.nodeId };
  }

  private join({ RemoteAddrs, JoinToken }: { RemoteAddrs: string[]; JoinToken: string }) {
    const cluster = this.all.get(RemoteAddrs[0] ?? "")?.cluster;
    if (!cluster) return { status: 500, json: { message: `cannot reach ${RemoteAddrs.join()}` } };
    const entered = this.enter(cluster, JoinToken === tokens.Manager ? "manager" : "worker");
    const becomes = this.joins.shift();
    if (becomes === undefined) return entered;
    if (becomes === "slow") this.pending = 2;
    this.failed = becomes === "failed";
    return { status: 503, json: { message: "Timeout was reached before node joined." } };
  }

  private state(): string {
    if (this.locked) return "locked";
    if (this.failed) return "error";
    if (this.pending > 0) {
      this.pending -= 1;
      return "pending";
    }
    return this.cluster ? "active" : "inactive";
  }

  private leave() {
    const member = this.member();
    if (member) member.down = true;
    this.cluster = undefined;
    this.sandbox.remove(CERTIFICATE);
    this.nodeId = "";
    this.failed = false;
    return { json: {} };
  }

  private update(path: string, body: string, version: string | null) {
    const node = this.cluster?.members.get(path.split("/")[2] ?? "");
    if (!node) return undefined;
    if (this.busy > 0 || Number(version) !== node.version) {
      this.busy -= 1;
      return { status: 500, json: { message: "rpc error: update out of sequence" } };
    }
    const spec = JSON.parse(body) as {
      Role: Member["role"];
      Labels: Record<string, string>;
      Availability: Member["availability"];
    };
    const cluster = this.cluster as Cluster;
    if (node.role === "manager" && spec.Role === "worker") {
      if (node.forgotten) return { status: 404, json: { message: "can't find manager in raft memberlist" } };
      const left = cluster.managersUp() - (node.down ? 0 : 1);
      if (left * 2 <= cluster.managers() - 1) {
        return {
          status: 400,
          json: { message: "can't remove member from the raft: this would result in a loss of quorum" },
        };
      }
    }
    if (spec.Availability !== node.availability) cluster.moves.push(`${node.hostname} ${spec.Availability}`);
    const { Role: role, Labels: labels, Availability: availability } = spec;
    Object.assign(node, { role, labels, availability, version: node.version + 1 });
    return { json: {} };
  }

  private tasks(filters: string | null) {
    const { node } = JSON.parse(filters ?? "{}") as { node?: string[] };
    const members = [...(this.cluster?.members.values() ?? [])];
    return members
      .filter(({ ID }) => node?.includes(ID) ?? true)
      .filter(({ down }) => !down)
      .flatMap(({ ID, hostname, availability }) =>
        (this.cluster?.runningOn(hostname) ?? [])
          .filter((service) => availability === "active" || this.cluster?.staying.has(service))
          .map((service) => ({
            ID: `${service}-${ID}`,
            ServiceID: service,
            NodeID: ID,
            DesiredState: "running",
            Status: { State: "running" },
          })),
      );
  }

  private info() {
    const member = this.member();
    const state = this.state();
    const manager = member?.role === "manager" && !this.locked;
    return {
      Name: this.name,
      DockerRootDir: "/var/lib/docker",
      Swarm: {
        NodeID: this.locked ? "" : this.nodeId,
        LocalNodeState: state,
        ControlAvailable: manager,
        Error: "",
        RemoteManagers: manager ? [{ NodeID: this.nodeId, Addr: this.name }] : null,
        ...(manager ? { Cluster: { ID: this.cluster?.id } } : {}),
      },
    };
  }

  private list() {
    return [...(this.cluster?.members.values() ?? [])].map((member) => ({
      ID: member.ID,
      Version: { Index: member.version },
      Spec: { Role: member.role, Availability: member.availability, Labels: member.labels },
      Description: { Hostname: member.hostname },
      Status: { State: member.down || this.all.get(member.hostname)?.locked ? "down" : "ready" },
      ...(member.role === "manager" && !member.forgotten
        ? { ManagerStatus: { Reachability: "reachable", Addr: "x" } }
        : {}),
    }));
  }
}

/** Engines by name, in no Swarm yet. */
export async function engines(...names: string[]): Promise<Engine[]> {
  const all = new Map<string, Engine>();
  for (const name of names) all.set(name, new Engine(name, all));
  return Promise.all([...all.values()].map((engine) => engine.start()));
}

export function memberInputs(
  engine: Engine,
  managers: Engine[],
  changes: Partial<SwarmMemberInputs> = {},
): SwarmMemberInputs {
  return {
    connection: engine.connection,
    node: engine.name,
    role: managers.includes(engine) ? "manager" : "worker",
    labels: { region: "dc1" },
    advertiseAddr: "10.0.2.11",
    managers: managers.map(({ connection }) => connection),
    founder: engine === managers[0],
    autolock: false,
    ...changes,
  };
}
