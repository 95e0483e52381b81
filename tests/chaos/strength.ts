/** Whether everything of a stack runs, and what is missing where it does not. */
import { waitFor } from "../../lab/exec";
import { shellIn, type Place } from "../../lab/faults/place";
import { headsOn, unlike } from "./drives";
import { unfinished } from "./healing";
import { holdersOf } from "./vip";

const SECONDS = 15;
const MARK = "-- ";

/** What one host said, by part. */
export type Said = Readonly<Record<string, string>>;

/** A shell line that says the output of each of the commands, whatever becomes of them. */
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

/** Prints 200 where a node's MinIO knows all others, so that any one of them may go. */
export const askForSpare = (node: string): string =>
  `timeout 5 docker exec ${minioContainer(node)} curl -s -m 3 -o /dev/null -w '%{http_code}' 'http://127.0.0.1:9000/minio/health/cluster?maintenance=true'`;

const storageCommands = (node: string, drive: string): Record<string, string> => ({
  units:
    "for unit in moorage-keepalived moorage-vip-guard moorage-storage-guard $(test ! -e /etc/moorage/healing || echo moorage-healing); do echo $unit $(systemctl is-active $unit.service); done",
  healing: "test ! -e /etc/moorage/healing || timeout 5 sh /etc/moorage/healing say",
  spares: askForSpare(node),
  containers: "timeout 5 docker ps --format '{{.Names}} {{.Status}}'",
  // Each version of an object that is not small has a folder of its own, so a part's path tells the version.
  objects: `cd ${drive} && find registry .minio.sys/config \\( -name xl.meta -o -name 'part.*' \\) -printf '%p %s\\n'`,
});

/** What a manager says is not as it should be: too little, or something that should be gone. */
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

/** What does not run on the nodes beside their containers. @param said what each node says, in the order of names */
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

/** What is not healthy of the containers that say how they are; a front has to. @param said in the order of names */
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

/** What is wrong with who has the VIP. @param holders undefined where that could not be seen */
export function missingVip(holders: readonly string[] | undefined): string[] {
  if (holders?.length === 1) return [];
  if (holders === undefined) return ["nobody sees who has the VIP"];
  return [`the VIP is on ${holders.join(" and ") || "no node"}`];
}

/** The objects of a drive's files, as its listing has them; not those of uploads, which end. */
export function objectsIn(listed: readonly string[]): string[] {
  return listed.flatMap((line) => {
    const [file = ""] = line.split(" ");
    return file.endsWith("/xl.meta") && !file.includes("/_uploads/") ? [file] : [];
  });
}

/**
 * Notes about an object go by their name: MinIO's healing adds a mark to those of an empty object, and `unlike` compares
 * what they are about.
 */
const comparable = (line: string): string => line.replace(/(\/xl\.meta) \d+$/, "$1");

/**
 * Files that some drives have and others have not, parts of one length. What only one has was deleted while it was away,
 * and is no loss of redundancy.
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
  /** How many of them are managers, which come first and have a member of etcd each. */
  readonly managers: number;
  /** Folder of MinIO's drive. */
  readonly drive: string;
}

/** Looks again and again; objects that are being written while one looks are unhealed once, and not twice. */
export class Strength {
  private before = new Set<string>();

  constructor(private readonly members: Members) {}

  /** What is missing now; nothing where all is whole. @param since when the drives must have been looked at, in seconds */
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
    const blank = names.filter((_name, index) => objectsIn(drives[index] ?? []).length === 0);
    if (blank.length > 0) missing.push(`no objects on the drive of ${blank.join(", ")}`);
    missing.push(...this.unhealed(drives));
    // Each file is opened for it: once, where nothing else is missing.
    return missing.length > 0 ? missing : this.unlike(drives);
  }

  private unhealed(drives: readonly (readonly string[])[]): string[] {
    const now = unhealed(drives);
    const still = [...now].filter((object) => this.before.has(object));
    const fresh = [...now].filter((object) => !this.before.has(object));
    this.before = now;
    if (still.length > 0) return [`${still.length} files of objects not on all drives, such as ${still[0]}`];
    return fresh.length > 0 ? ["objects to be looked at again"] : [];
  }

  private async unlike(drives: readonly (readonly string[])[]): Promise<string[]> {
    const { nodes, drive } = this.members;
    const objects = objectsIn(drives[0] ?? []);
    const found = unlike(await Promise.all(nodes.map((place) => headsOn(place, drive, objects))));
    return found.length > 0 ? [`${found.length} objects of another version on some drive`] : [];
  }

  /** Seconds until all is whole; undefined where it is not in time. */
  async until(seconds: number, onMissing: (missing: readonly string[]) => void): Promise<number | undefined> {
    const start = Date.now();
    this.before = new Set();
    const whole = async (): Promise<number | undefined> => {
      const missing = await this.missing(Math.floor(start / 1000));
      onMissing(missing);
      return missing.length === 0 ? (Date.now() - start) / 1000 : undefined;
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

/** A host that is off has nothing to say. */
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
