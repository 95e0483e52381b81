/** Whether everything of a cluster runs, and what is missing if not. */
import { waitFor } from "../../lab/exec";
import { shellIn, type Place } from "../../lab/faults/place";
import { holdersOf } from "./vip";

const SECONDS = 15;
const MARK = "-- ";

/** The output of one host, by command. */
export type Said = Readonly<Record<string, string>>;

/** A shell line that prints the output of each command, failed ones included. */
function inParts(commands: Readonly<Record<string, string>>): string {
  return Object.entries(commands)
    .map(([name, command]) => `echo; echo '${MARK}${name}'; ${command} 2>&1`)
    .join("\n");
}

export function partsOf(output: string): Said {
  const parts = output.split(new RegExp(`^${MARK}`, "m")).slice(1);
  return Object.fromEntries(
    parts.map((part) => {
      const end = part.indexOf("\n");
      return [part.slice(0, end), part.slice(end + 1).trim()];
    }),
  );
}

const managerCommands = {
  nodes:
    "timeout 5 docker node ls --format '{{.Hostname}} {{.Status}} {{.Availability}} {{if .ManagerStatus}}{{.ManagerStatus}}{{else}}-{{end}}'",
  services: "timeout 5 docker service ls --format '{{.Name}} {{.Replicas}}'",
  etcd: "timeout 8 docker exec moorage-etcd etcdctl endpoint health --cluster",
};

/** A storage node's container of MinIO, in a shell. */
const minioContainer = (node: string): string =>
  `$(docker ps --quiet --filter status=running --filter label=com.docker.swarm.service.name=minio-${node} | head -n 1)`;

/** Prints 200 if MinIO keeps its write quorum without any one node. */
export const askForSpare = (node: string): string =>
  `timeout 5 docker exec ${minioContainer(node)} curl -s -m 3 -o /dev/null -w '%{http_code}' 'http://127.0.0.1:9000/minio/health/cluster?maintenance=true'`;

const storageCommands = (node: string, drive: string): Record<string, string> => ({
  units:
    "for unit in moorage-keepalived.service $(test ! -e /etc/moorage/healing || echo moorage-heal.timer); do echo $unit $(systemctl is-active $unit); done",
  healing: "test ! -e /etc/moorage/healing || timeout 5 sh /etc/moorage/healing/heal.sh status",
  spares: askForSpare(node),
  containers: "timeout 5 docker ps --format '{{.Names}} {{.Status}}'",
  // Each version of an object that is not small has a folder of its own, so a part's path tells the version.
  objects: `cd ${drive} && find registry .minio.sys/config \\( -name xl.meta -o -name 'part.*' \\) -printf '%p %s\\n'`,
});

/** What is missing by a manager's output, and what should be gone. */
export function missingInSwarm(said: Said, names: readonly string[], members: number): string[] {
  const rows = (said.nodes ?? "").split("\n").filter(Boolean);
  const parts = rows.map((line) => line.split(" "));
  const nodes = names.flatMap((name) => {
    const all = parts.filter(([host]) => host === name);
    const whole = ([, status, availability, manager]: string[]): boolean =>
      status === "Ready" && availability === "Active" && manager !== "Unreachable";
    if (all.length === 1 && all.every(whole)) return [];
    return [`node ${name}: ${all.map((row) => row.slice(1).join(" ")).join(" and ") || "unknown"}`];
  });
  const strangers = rows.filter((_row, index) => !names.includes(parts[index]?.[0] ?? ""));
  const services = (said.services ?? "").split("\n").flatMap((line) => {
    const [, name, running, wanted] = /^(\S+) (\d+)\/(\d+)/.exec(line) ?? [];
    if (name === undefined) return [`services: ${line}`];
    return running === wanted ? [] : [`${name} ${running}/${wanted}`];
  });
  const healthy = said.etcd?.match(/ is healthy/g)?.length ?? 0;
  const endpoints = healthy + (said.etcd?.match(/ is unhealthy/g)?.length ?? 0);
  const etcd = healthy === members ? [] : [`etcd ${healthy}/${members}`];
  if (endpoints > members) etcd.push(`etcd has ${endpoints} members in place of ${members}`);
  return [...nodes, ...strangers.map((row) => `node too many: ${row}`), ...services, ...etcd];
}

/** Units that are not active, and open work of the healing. @param said in the order of names */
export function missingOnNodes(said: readonly Said[], names: readonly string[], since: number): string[] {
  const units = names.flatMap((name, index) => {
    const lines = (said[index]?.units ?? "").split("\n").filter(Boolean);
    if (lines.length === 0) return [`${name} does not say what runs there`];
    return lines.filter((line) => !line.endsWith(" active")).map((line) => `${name}: ${line}`);
  });
  const healers = said.flatMap(({ healing = "" }) => (healing === "" ? [] : [healing]));
  if (healers.length !== 1) return [...units, `${healers.length} nodes heal`];
  return [...units, ...healers.flatMap((healing) => unfinished(healing, since))];
}

/** The facts that `heal.sh status` prints. */
function factsOf(said: string): Map<string, string> {
  return new Map(said.split("\n").map((line) => [line.split("=")[0] ?? "", line.replace(/^[^=]*=/, "")]));
}

/** What the healing still has to do. @param since seconds since 1970: an older check does not count */
export function unfinished(said: string, since: number): string[] {
  const facts = factsOf(said);
  const [at = 0, there = 0] = (facts.get("looked") ?? "").split(" ").map(Number);
  const open = ["wanted", "doing", "failed"].filter((fact) => facts.has(fact));
  return [
    ...open.map((fact) => `healing: ${fact}=${facts.get(fact)}`),
    ...(at < since ? ["healing: has not looked yet"] : []),
    ...(at >= since && there !== Number(facts.get("all")) ? [`healing: ${there} drives`] : []),
    ...(facts.has("healed") ? [] : ["healing: never done"]),
  ];
}

/** Containers that are not healthy. Each node needs a healthy nginx. @param said in the order of names */
export function missingHealth(said: readonly Said[], names: readonly string[]): string[] {
  return names.flatMap((name, index) => {
    const lines = (said[index]?.containers ?? "").split("\n").filter(Boolean);
    const front = lines.some((line) => line.startsWith("nginx.") && line.endsWith("(healthy)"));
    const others = lines.filter((line) => /\((unhealthy|health: starting)\)$/.test(line));
    return [
      ...(front ? [] : [`${name}: nginx is not healthy`]),
      ...others.filter((line) => !line.startsWith("nginx.")).map((line) => `${name}: ${line}`),
    ];
  });
}

/** Exactly one node must hold the VIP. @param holders undefined if that is unknown */
export function missingVip(holders: readonly string[] | undefined): string[] {
  if (holders?.length === 1) return [];
  if (holders === undefined) return ["the VIP's holder is unknown"];
  return [`the VIP is on ${holders.join(" and ") || "no node"}`];
}

/** An `xl.meta` counts by its name: MinIO's healing adds a mark to that of an empty object. */
const comparable = (line: string): string => line.replace(/(\/xl\.meta) \d+$/, "$1");

/**
 * Files that some drives lack, or have in another length. A file on one drive alone was deleted while that drive was
 * away: no redundancy is lost.
 */
export function unhealed(drives: readonly (readonly string[])[]): Set<string> {
  const counts = new Map<string, number>();
  for (const file of drives.flatMap((drive) => drive.map(comparable)))
    counts.set(file, (counts.get(file) ?? 0) + 1);
  const all = drives.length;
  return new Set([...counts].filter(([, count]) => count > 1 && count < all).map(([object]) => object));
}

export interface Members {
  readonly nodes: readonly Place[];
  /** The managers come first. Each has a member of etcd. */
  readonly managers: number;
  /** Folder of MinIO's drive. */
  readonly drive: string;
}

/** Polls a cluster. An object that is being written lacks a drive in one poll, never in two. */
export class Strength {
  private before = new Set<string>();

  constructor(private readonly members: Members) {}

  /** What is missing now. @param since the healing must have checked the drives after this, in seconds since 1970 */
  async missing(since = 0): Promise<string[]> {
    const { nodes, managers } = this.members;
    const names = nodes.map(({ host }) => host.name);
    const [swarm, storage, holders] = await Promise.all([this.swarm(), this.storage(), this.holders()]);
    const missing = [
      ...missingInSwarm(swarm, names, managers),
      ...missingOnNodes(storage, names, since),
      ...missingHealth(storage, names),
      ...missingVip(holders),
    ];
    const spared = names.filter((_name, index) => storage[index]?.spares === "200");
    if (spared.length < names.length) missing.push(`MinIO could spare ${spared.length}/${names.length}`);
    const drives = storage.map(({ objects = "" }) =>
      objects.split("\n").filter((line) => / \d+$/.test(line)),
    );
    const blank = names.filter((_name, index) => drives[index]?.length === 0);
    if (blank.length > 0) missing.push(`no objects on the drive of ${blank.join(", ")}`);
    return [...missing, ...this.unhealed(drives)];
  }

  private unhealed(drives: readonly (readonly string[])[]): string[] {
    const now = unhealed(drives);
    const still = [...now].filter((object) => this.before.has(object));
    const fresh = [...now].filter((object) => !this.before.has(object));
    this.before = now;
    if (still.length > 0) return [`${still.length} files of objects not on all drives, such as ${still[0]}`];
    return fresh.length > 0 ? ["objects to check again"] : [];
  }

  /** Seconds until nothing is missing; undefined if that takes too long. */
  async until(seconds: number, onMissing: (missing: readonly string[]) => void): Promise<number | undefined> {
    const start = Date.now();
    this.before = new Set();
    const whole = async (): Promise<number | undefined> => {
      const missing = await this.missing(Math.floor(start / 1000));
      onMissing(missing);
      const now = Date.now();
      return missing.length === 0 ? (now - start) / 1000 : undefined;
    };
    return waitFor(whole, seconds * 1000, 1500);
  }

  /** The first manager that answers. */
  private async swarm(): Promise<Said> {
    for (const place of this.members.nodes.slice(0, this.members.managers)) {
      const said = await asked(place, managerCommands);
      if (/^\S+ (Ready|Down|Unknown)/m.test(said.nodes ?? "")) return said;
    }
    return {};
  }

  private async holders(): Promise<readonly string[] | undefined> {
    const [first] = this.members.nodes;
    return first && holdersOf(first.instance).catch(() => undefined);
  }

  private storage(): Promise<Said[]> {
    const { nodes, drive } = this.members;
    return Promise.all(nodes.map((place) => asked(place, storageCommands(place.host.name, drive))));
  }
}

/** A host that is off prints nothing. */
async function asked(place: Place, commands: Readonly<Record<string, string>>): Promise<Said> {
  const done = await shellIn(place, inParts(commands), SECONDS).catch(() => undefined);
  return partsOf(done?.stdout ?? "");
}

/** The Swarm's leader, by what a manager says. */
export function leaderIn(said: string): string | undefined {
  return said
    .split("\n")
    .find((line) => line.endsWith(" Leader"))
    ?.split(" ")[0];
}

/** Asks the managers in turn for the Swarm's leader. */
export async function leaderOf(managers: readonly Place[]): Promise<string | undefined> {
  for (const place of managers) {
    const leader = leaderIn((await asked(place, { nodes: managerCommands.nodes })).nodes ?? "");
    if (leader !== undefined) return leader;
  }
  return undefined;
}
