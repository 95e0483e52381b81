/** From what a host printed to what is wrong with it. Pure functions. */
import type { PreflightHost, PreflightInputs } from "../contract";
import { dataClaimOf, dataContentOf, dataRefusalOf, parseDataDisk, type FoundDataDisk } from "../data-claim";
import { claimOf, contentOf, refusalOf, type Claimant, type FoundDisk } from "../disk-claim";
import type { Problem } from "../problem";
import { installHashIn } from "../rendered";
import { dockerVersionProblem, dockerWanted } from "./docker-version";
import { dataFolderProblems, parseDataFolder, type DataFolder } from "./data-folder";

export type { Problem } from "../problem";

export interface DockerFound {
  readonly version: string;
  readonly state: string;
  readonly nodeId: string;
  readonly clusterId: string;
}

export interface Service {
  readonly name: string;
  readonly image: string;
}

/** What a host said about itself. */
export interface Facts {
  readonly now: number;
  readonly uid: string;
  readonly interface: string;
  readonly mtu?: number;
  readonly disk?: string;
  readonly diskReal?: string;
  readonly diskSerial: string;
  readonly diskData: string;
  readonly diskKept: string;
  readonly missingNics: readonly string[];
  readonly data?: FoundDataDisk;
  readonly dataFolder?: DataFolder;
  readonly tcp: ReadonlySet<number>;
  readonly udp: ReadonlySet<number>;
  /** What the member of etcd that runs here listens on. */
  readonly etcd: ReadonlySet<number>;
  readonly docker?: DockerFound;
  readonly dockerCli: boolean;
  readonly dockerError?: string;
  /** The stack's services with their images, as a manager lists them. */
  readonly services: readonly Service[];
  readonly mark: string;
  /** Digest of what is installed; absent where the program did not install it. */
  readonly installHash?: string;
  /** Where Docker keeps its data, or the folder around it that is there. */
  readonly dockerFolder: string;
  readonly freeMiB: number;
  readonly complete: boolean;
}

export function parseFacts(output: string): Facts {
  const values = new Map<string, string>();
  for (const line of output.split("\n")) {
    const at = line.indexOf("=");
    if (at > 0) values.set(line.slice(0, at), line.slice(at + 1).trim());
  }
  const optional = (key: string) => values.get(key);
  const text = (key: string) => values.get(key) ?? "";
  const words = (key: string) =>
    text(key)
      .split(/\s+/)
      .filter((word) => word !== "");
  const ports = (key: string, base: number) => new Set(words(key).map((port) => parseInt(port, base)));
  const mtu = optional("mtu");
  return {
    now: Number(text("now")),
    uid: text("root"),
    interface: text("interface"),
    ...(mtu === undefined ? {} : { mtu: Number(mtu) }),
    disk: optional("disk"),
    diskReal: optional("disk_real"),
    diskSerial: text("disk_serial"),
    diskData: text("disk_data"),
    diskKept: text("disk_kept"),
    missingNics: words("missing_nics"),
    data: parseDataDisk(values),
    dataFolder: parseDataFolder(values),
    tcp: ports("tcp", 16),
    udp: ports("udp", 16),
    etcd: ports("etcd", 10),
    docker: parseDocker(optional("docker")),
    dockerCli: text("docker_cli") === "yes",
    dockerError: optional("docker_error"),
    services: parseServices(words("services")),
    mark: text("mark"),
    installHash: installHashIn(text("install")),
    dockerFolder: text("docker_folder"),
    freeMiB: Number(text("free_mib") || "NaN"),
    complete: text("end") === "yes",
  };
}

function parseDocker(line: string | undefined): DockerFound | undefined {
  if (line === undefined) return undefined;
  const [version = "", state = "", nodeId = "", clusterId = ""] = line.split("|");
  return { version, state, nodeId, clusterId };
}

/** Names and images, by turns. */
function parseServices(words: readonly string[]): Service[] {
  return words.flatMap((name, at) => (at % 2 === 0 ? [{ name, image: words[at + 1] ?? "" }] : []));
}

/** The mark a member of ours leaves on its host: the cluster's id and the node's, or the cluster that it was about to join. */
export interface Mark {
  readonly joining: boolean;
  readonly cluster?: string;
  readonly node?: string;
}

export function parseMark(text: string): Mark {
  if (text.trim() === "") return { joining: false };
  try {
    const mark = JSON.parse(text) as { joining?: boolean; cluster?: string; node?: string };
    return { joining: mark.joining === true, cluster: mark.cluster, node: mark.node };
  } catch {
    return { joining: false };
  }
}

/**
 * Whether a host that is in a Swarm may be in ours: by its own mark, or by the cluster that another host's mark names. Of
 * one that was about to join, where Docker names no cluster, and of a founder its membership decides later.
 */
export function isOurs(docker: DockerFound, mark: Mark, clusters: ReadonlySet<string>): boolean {
  if (mark.joining && mark.cluster === undefined) return true;
  if (docker.clusterId !== "") return mark.cluster === docker.clusterId || clusters.has(docker.clusterId);
  return mark.joining || (mark.node !== undefined && mark.node === docker.nodeId);
}

/** How a host was found: installed already, or waiting in its live installer. */
export type Stage = "installed" | "installer";

export interface Looked {
  readonly stage: Stage;
  readonly facts: Facts;
  /** Seconds between the operator's clock and the host's, beyond what the asking itself took. */
  readonly skew: number;
}

export function problemsOf(
  host: PreflightHost,
  { stage, facts, skew }: Looked,
  inputs: PreflightInputs,
  clusters: ReadonlySet<string>,
  before?: PreflightInputs,
): Problem[] {
  if (!facts.complete) {
    return [
      {
        what: "the host did not finish looking at itself",
        advice: "it needs a POSIX shell, awk and util-linux",
      },
    ];
  }
  const common = [
    ...clockProblems(skew, inputs),
    ...interfaceProblems(host, facts),
    ...nicProblems(facts),
    ...dataDiskProblems(host, facts, inputs, before),
    ...folderProblems(host, facts, inputs),
  ];
  switch (stage) {
    case "installer":
      return [...common, ...systemDiskProblems(host, facts, claimantOf(host, inputs, before))];
    case "installed":
      return [...common, ...dockerProblems(host, facts, clusters), ...spaceProblems(facts, inputs)];
    default:
      return stage satisfies never;
  }
}

function clockProblems(skew: number, { maximumClockSkew }: PreflightInputs): Problem[] {
  if (Math.abs(skew) <= maximumClockSkew) return [];
  const direction = skew > 0 ? "ahead of" : "behind";
  return [
    {
      what: `its clock is ${Math.abs(skew).toFixed(1)} s ${direction} the operator's, more than the ${maximumClockSkew} s accepted`,
      advice: "set up NTP on both (timedatectl set-ntp true)",
    },
  ];
}

function interfaceProblems(host: PreflightHost, facts: Facts): Problem[] {
  if (facts.mtu !== undefined) return [];
  const wanted = host.interface;
  if (wanted === undefined)
    return [
      {
        what: "it has no network interface with a default route",
        advice: "name one in the node's `interface`",
      },
    ];
  return [
    {
      what: `there is no network interface ${wanted}`,
      advice: "list them there with `ip link`, and correct the node's `interface`",
    },
  ];
}

function nicProblems({ missingNics }: Facts): Problem[] {
  return missingNics.map((name) => ({
    what: `there is no network interface ${name}, which the node's \`nics\` names`,
    advice: "list them there with `ip link`, and correct the node's `nics`",
  }));
}

/** With which digest a node was installed that is known from before, its installation knows. */
function claimantOf(host: PreflightHost, { stack }: PreflightInputs, before?: PreflightInputs): Claimant {
  const { erasableDisk, installHash, target } = host;
  const former = before?.hosts[target.node];
  const installHashes = [installHash, former?.installHash];
  return { node: target.node, stack, installHashes, leavesUnnamed: former !== undefined, erasableDisk };
}

function systemDiskProblems(host: PreflightHost, facts: Facts, claimant: Claimant): Problem[] {
  if (host.disk === undefined) return [];
  const found: FoundDisk = {
    disk: host.disk,
    real: facts.diskReal,
    state: facts.disk ?? "",
    serial: facts.diskSerial,
    data: facts.diskData,
    kept: facts.diskKept,
  };
  const problems = claimOf(found, claimant) === "refused" ? [refusalOf(found, claimant)] : [];
  if (facts.disk === "missing") return problems;
  const dataReal = facts.data?.real ?? "";
  if (dataReal !== "" && dataReal === facts.diskReal) {
    problems.push({
      what: `the data disk ${host.dataDisk ?? ""} is the system disk ${host.disk}`,
      advice: "give storage nodes a data disk of their own",
    });
  }
  return problems;
}

function dataDiskProblems(
  host: PreflightHost,
  { data }: Facts,
  { stack }: PreflightInputs,
  before?: PreflightInputs,
): Problem[] {
  if (host.dataDisk === undefined || data === undefined) return [];
  const { target, wipeDataDiskSerial, adoptDiskSerial } = host;
  const formerStack = before?.stack;
  const claimant = { node: target.node, stack, formerStack, wipeDataDiskSerial, adoptDiskSerial };
  if (dataClaimOf(data, claimant) !== "refused") return [];
  return [dataRefusalOf(host.dataDisk, data, claimant)];
}

function folderProblems(
  { dataDirectory }: PreflightHost,
  { dataFolder }: Facts,
  { minimumFreeMiB = MINIMUM_FREE_MIB }: PreflightInputs,
): Problem[] {
  if (dataDirectory === undefined || dataFolder === undefined) return [];
  return dataFolderProblems(dataDirectory, dataFolder, minimumFreeMiB);
}

function dockerProblems(host: PreflightHost, facts: Facts, clusters: ReadonlySet<string>): Problem[] {
  const { docker } = facts;
  if (docker === undefined) {
    return facts.dockerCli
      ? [
          {
            what: `Docker does not answer: ${facts.dockerError ?? "no reason given"}`,
            advice: "see `systemctl status docker` and `journalctl -u docker` there",
          },
        ]
      : [
          {
            what: "Docker is not installed",
            advice: `install Docker Engine ${dockerWanted}, with its command line`,
          },
        ];
  }
  const tooOld = dockerVersionProblem(docker.version);
  const problems = tooOld ? [tooOld] : [];
  const member = docker.state !== "" && docker.state !== "inactive";
  if (!member) return [...problems, ...portProblems(host, facts)];
  if (!isOurs(docker, parseMark(facts.mark), clusters)) {
    problems.push({
      what: `it is in another Swarm already (${docker.clusterId || `as node ${docker.nodeId}`})`,
      advice: "if that one is not needed, run `docker swarm leave --force` there",
    });
  }
  return problems;
}

const MINIMUM_FREE_MIB = 1024;

const UDP_PORTS = new Set([4789, 7946]);

function portProblems(host: PreflightHost, facts: Facts): Problem[] {
  const taken = host.ports.flatMap((port) => [
    ...(facts.tcp.has(port) && port !== 4789 && !facts.etcd.has(port) ? [`${port}/tcp`] : []),
    ...(UDP_PORTS.has(port) && facts.udp.has(port) ? [`${port}/udp`] : []),
  ]);
  if (taken.length === 0) return [];
  return [
    {
      what: `these ports are taken: ${taken.join(", ")}`,
      advice: "see by what with `ss -tulpn` there, and stop it",
    },
  ];
}

function spaceProblems(
  { dockerFolder, freeMiB }: Facts,
  { minimumFreeMiB = MINIMUM_FREE_MIB }: PreflightInputs,
): Problem[] {
  if (!(freeMiB < minimumFreeMiB)) return [];
  return [
    {
      what: `only ${freeMiB} MiB are free where Docker keeps its data (${dockerFolder}), ${minimumFreeMiB} are wanted`,
      advice: "free some space there (`docker system df`, `journalctl --vacuum-size=100M`)",
    },
  ];
}

/** MTUs that differ between nodes cut off large packets between them, while small ones pass. */
export function mtuProblem(mtus: Readonly<Record<string, number>>): string | undefined {
  if (new Set(Object.values(mtus)).size <= 1) return undefined;
  const list = Object.entries(mtus).map(([node, mtu]) => `${node} ${mtu}`);
  return `the nodes' MTUs differ: ${list.join(", ")}; set the same on all of them`;
}

/** One line that says what was found. */
export function finding({ stage, facts }: Looked): string {
  const disks = [
    facts.disk && `disk ${contentOf({ state: facts.disk })}`,
    facts.data && `data disk: ${dataContentOf(facts.data)}`,
    facts.dataFolder && `data folder on ${facts.dataFolder.mount}`,
  ].filter(Boolean);
  const docker = facts.docker ? [`Docker ${facts.docker.version}`] : [];
  const where = stage === "installer" ? "live installer" : "installed";
  return [where, `${facts.interface} MTU ${facts.mtu ?? "?"}`, ...docker, ...disks].join(", ");
}
