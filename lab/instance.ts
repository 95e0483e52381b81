import * as fs from "node:fs";
import * as path from "node:path";
import { withLock } from "../toolchain";
import { aliveRecord, LabError, readIf, writeAtomic } from "./exec";

/** What kind of machine a lab host plays. */
export type HostKind = "node" | "client";

/**
 * `virtualbox`: nodes are guests of the lab's hypervisor, and come up when that is told to make them.
 * `metal`: nodes come up in the live installer. `existing`: nodes come up as installed Debian with Docker.
 */
export type Platform = (typeof platforms)[number];

export const platforms = ["virtualbox", "metal", "existing"] as const;

/** What `Pulumi.dev.yaml` describes, and a lab is where nobody says otherwise. */
export const defaultPlatform: Platform = "virtualbox";

/** The platform that `text` names, and none where it names none. @param where what it is from, for the message */
export function platformNamed(text: string | undefined, where: string): Platform | undefined {
  if (text === undefined || text === "") return undefined;
  const known = platforms.find((one) => one === text);
  if (known) return known;
  throw new LabError(`${where} is "${text}": give one of ${platforms.join(", ")}`);
}

/** One host of the lab, by name. */
export interface Host {
  readonly name: string;
  readonly kind: HostKind;
  readonly address: string;
  /** The port on 127.0.0.1 that leads to the host's port 22. */
  readonly sshPort: number;
  readonly mac: string;
  /** The host's network namespace. */
  readonly netns: string;
  /** Folder with everything that belongs to this host. */
  readonly dir: string;
}

/** One lab: its number, folder, names and addresses. */
export interface Instance {
  readonly number: number;
  /** Prefix of all names on the machine: `moorage<n>`. */
  readonly prefix: string;
  readonly dir: string;
  readonly hosts: readonly Host[];
  /** The namespace with the bridge. */
  readonly netns: string;
  readonly gateway: string;
  readonly vip: string;
  /** The port on 127.0.0.1 that leads to the VIP's port 443. */
  readonly registryPort: number;
  /** The port on 127.0.0.1 of the hypervisor's SSH server. */
  readonly hypervisorPort: number;
}

const MAX_INSTANCES = 10;
const NODES = 4;
const CLIENTS = 2;

/** The stack of every lab, and its project. */
export const stackName = "dev";
export const projectName = "moorage";

/** The folder of all instances. */
export function labRoot(): string {
  return process.env.MOORAGE_LAB_DIR ?? "/var/lib/moorage-lab";
}

/** One run on this machine at a time. Locks lie outside the labs, as a lock must outlive what it guards. */
export function exclusively<T>(name: string, what: string, work: () => Promise<T>): Promise<T> {
  const file = path.join("/run/lock/moorage-lab", `${name}.lock`);
  return withLock(file, what, (line) => console.error(line), work);
}

/** The checkout this file belongs to, by its real path. */
export function checkout(): string {
  return fs.realpathSync(path.join(__dirname, ".."));
}

/** Everything about instance `n` that follows from its number. */
export function describeInstance(n: number): Instance {
  const prefix = `moorage${n}`;
  const dir = path.join(labRoot(), String(n));
  const host = (name: string, kind: HostKind, last: number, port: number): Host => ({
    name,
    kind,
    address: `10.0.2.${last}`,
    sshPort: port + 100 * n,
    mac: `08:00:27:00:${n.toString(16).padStart(2, "0")}:${last.toString(16).padStart(2, "0")}`,
    netns: `${prefix}-${name}`,
    dir: path.join(dir, name),
  });
  const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);
  return {
    number: n,
    prefix,
    dir,
    hosts: [
      ...numbers(NODES).map((i) => host(`coreos${i}`, "node", 10 + i, 2010 + i)),
      ...numbers(CLIENTS).map((i) => host(`client${i}`, "client", 20 + i, 2020 + i)),
    ],
    netns: `${prefix}-net`,
    gateway: "10.0.2.1",
    vip: "10.0.2.10",
    registryPort: 8443 + 100 * n,
    hypervisorPort: 2002 + 100 * n,
  };
}

/** The host called `name`, or an error that lists the names there are. */
export function hostNamed(instance: Instance, name: string | undefined): Host {
  const host = instance.hosts.find((one) => one.name === name);
  if (host) return host;
  const names = instance.hosts.map((one) => one.name).join(", ");
  throw new LabError(`no host ${name === undefined ? "named" : `called "${name}"`}: give one of ${names}`);
}

/** True while something of the instance runs. */
export function isRunning(instance: Instance): boolean {
  return instance.hosts.some((host) => aliveRecord(path.join(host.dir, "supervisor.pid")) !== undefined);
}

function requested(): number | undefined {
  const text = process.env.MOORAGE_LAB;
  if (text === undefined || text === "") return undefined;
  if (/^[0-9]$/.test(text)) return Number(text);
  throw new LabError(`MOORAGE_LAB is "${text}": give a number from 0 to ${MAX_INSTANCES - 1}`);
}

/** Names the checkout a lab belongs to. */
export const ownerFile = (n: number): string => path.join(labRoot(), String(n), "owner");

/** The instance of this checkout where there is one already; nothing is made. */
export function findInstance(): Instance | undefined {
  const wanted = requested();
  if (wanted !== undefined) {
    refuseOthers(wanted);
    return describeInstance(wanted);
  }
  const mine = checkout();
  for (let n = 0; n < MAX_INSTANCES; n++) {
    if (readIf(ownerFile(n))?.trim() === mine) return describeInstance(n);
  }
  return undefined;
}

/** A lab of another checkout that is still there is that one's to handle. */
function refuseOthers(number: number): void {
  const owner = readIf(ownerFile(number))?.trim();
  if (owner === undefined || owner === checkout() || !fs.existsSync(owner)) return;
  throw new LabError(
    `lab ${number} belongs to ${owner}: handle it from there, or leave MOORAGE_LAB unset to get one of this checkout's own`,
  );
}

/** The instance of this checkout; where it has none yet, the lowest free one becomes its own. */
export function claimInstance(): Promise<Instance> {
  return exclusively("allocation", "choosing an instance", () => {
    const found = findInstance() ?? lowestFree();
    const owner = readIf(ownerFile(found.number))?.trim();
    if (owner !== checkout()) writeAtomic(ownerFile(found.number), `${checkout()}\n`);
    return Promise.resolve(found);
  });
}

function lowestFree(): Instance {
  for (let n = 0; n < MAX_INSTANCES; n++) {
    const instance = describeInstance(n);
    const owner = readIf(ownerFile(n))?.trim();
    if (owner === undefined && !isRunning(instance)) return instance;
    if (owner !== undefined && !fs.existsSync(owner) && !isRunning(instance)) return instance;
  }
  throw new LabError(
    `all ${MAX_INSTANCES} labs in ${labRoot()} are taken: run clean in a checkout that no longer needs its own`,
  );
}

/** The instance of this checkout, which must exist. */
export function existingInstance(): Instance {
  const instance = findInstance();
  if (instance && fs.existsSync(instance.dir)) return instance;
  throw new LabError("there is no lab for this checkout yet: run `npm run -s lab -- up` first");
}

/** How long a path of a Unix socket may be on Linux. */
const SOCKET_PATH_LIMIT = 107;

/** Refuses a lab folder whose sockets would have names too long for the kernel, or that mounts cannot name. */
export function checkFolder(instance: Instance): void {
  if (/[\s:,\\]/.test(labRoot())) {
    throw new LabError(
      `${labRoot()} has a blank, colon, comma or backslash in it, which the options of mounts cannot hold: set MOORAGE_LAB_DIR to another folder`,
    );
  }
  const longest = path.join(instance.dir, "forward", "65535.sock").length;
  if (longest > SOCKET_PATH_LIMIT) {
    throw new LabError(
      `${labRoot()} is too long a path for the lab's sockets (${longest} > ${SOCKET_PATH_LIMIT}): set MOORAGE_LAB_DIR to a shorter one`,
    );
  }
}
