import * as fs from "node:fs";
import { expect } from "vitest";
import { startTime } from "../../lab/exec";
import type { TestLab } from "./testLab";

/** A lab or another set of hosts with a stack. */
export type Asked = Pick<TestLab, "nodes" | "state" | "mustRoot">;

/**
 * Every secret of the stack: those that the state marks, and the Swarm's join tokens. Each is long enough not to occur by
 * chance.
 */
export async function secretsOf(lab: Asked): Promise<string[]> {
  return [...secretTextsIn(await stateOf(lab)), ...(await joinTokens(lab))];
}

/** Passwords, random names, private keys line by line, and the join tokens. */
export async function passwordsAndKeysOf(lab: Asked): Promise<string[]> {
  return [...madeSecretsIn(await stateOf(lab)), ...(await joinTokens(lab))];
}

const stateOf = async (lab: Asked): Promise<State> => JSON.parse(await lab.state(true)) as State;

async function joinTokens(lab: Asked): Promise<string[]> {
  const manager = lab.nodes[0]?.name ?? "";
  const tokens = await lab.mustRoot(
    manager,
    "docker swarm join-token --quiet manager && docker swarm join-token --quiet worker",
  );
  const found = tokens.trim().split("\n");
  if (found.length !== 2 || !found.every((token) => token.startsWith("SWMTKN-"))) {
    throw new Error(`these are no join tokens: ${tokens}`);
  }
  return found;
}

interface State {
  readonly deployment: {
    readonly resources: readonly { readonly type?: string; readonly outputs?: object }[];
  };
}

/** The secrets from the providers `random` and `tls`. */
export function madeSecretsIn({ deployment }: State): string[] {
  const resources = deployment.resources.filter(({ type = "" }) => /^(random|tls):/.test(type));
  return secretTextsIn({ deployment: { resources } });
}

/** What a state with secrets in clear marks as secret, text by text. */
export function secretTextsIn(state: State): string[] {
  const found = new Set<string>();
  collect(state, found);
  // A private key contains the public key, which is no secret.
  const shown = state.deployment.resources.flatMap(({ outputs }) =>
    Object.entries(outputs ?? {})
      .filter(([key]) => /^publicKey|^certPem$|^certRequestPem$/.test(key))
      .map(([, value]) => String(value)),
  );
  return [...found].filter((secret) => !shown.some((text) => text.includes(secret)));
}

function collect(value: unknown, found: Set<string>): void {
  if (typeof value !== "object" || value === null) return;
  const { plaintext } = value as { plaintext?: unknown };
  if (typeof plaintext === "string") textsOf(JSON.parse(plaintext), found);
  else Object.values(value).forEach((inner) => collect(inner, found));
}

/** A secret may be an object that contains marked secrets. */
function textsOf(secret: unknown, found: Set<string>): void {
  if (typeof secret === "string") linesOf(secret).forEach((line) => found.add(line));
  else if (typeof secret === "object" && secret !== null) {
    const { plaintext } = secret as { plaintext?: unknown };
    if (typeof plaintext === "string") textsOf(JSON.parse(plaintext), found);
    else Object.values(secret).forEach((inner) => textsOf(inner, found));
  }
}

/** Longer texts, such as user data, also contain what is no secret. */
const LONG = 600;

/** A text of one line as a whole; of longer texts the lines that look like keys. */
function linesOf(text: string): string[] {
  const lines = text.split("\n").filter((line) => !line.startsWith("-----"));
  if (text.length >= LONG) return lines.filter((line) => /^[\w+/=.:$-]{32,}$/.test(line) && /\d/.test(line));
  const atLeast = text.trim().includes("\n") ? 16 : 10;
  return lines.filter((line) => line.length >= atLeast);
}

/** @param places texts by place */
export function expectNoSecret(secrets: readonly string[], places: Readonly<Record<string, string>>): void {
  for (const [place, text] of Object.entries(places)) {
    expect(
      secrets.filter((secret) => text.includes(secret)),
      place,
    ).toEqual([]);
  }
}

/** A host's journal and its containers' logs. */
export function logsOf(lab: Asked, host: string): Promise<string> {
  return lab.mustRoot(
    host,
    `journalctl -b --no-pager; find "$(docker info --format '{{.DockerRootDir}}')/containers" -name '*-json.log*' -exec cat {} +`,
  );
}

/** For all processes: a lab has some hundreds, which take 10 ms of a processor. */
const LOOK_EVERY_MS = 250;
/** For new processes: most end before the next look at all of them. */
const LOOK_AT_NEW_EVERY_MS = 1;
/** A new process is a copy of its parent until it executes its program. */
const LOOKS_AT_NEW = 5;

/**
 * Records the command line of every process of this machine, lab hosts included, during `work`. It may miss one that ends
 * within milliseconds.
 */
export async function commandLinesDuring<T>(work: () => Promise<T>): Promise<[T, string[]]> {
  const seen = new Map<string, string>();
  const look = (pid: string): void => {
    const line = commandLine(pid);
    // A process keeps its number and start time when it executes another program.
    if (line) seen.set(`${pid} ${startTime(Number(pid))} ${line}`, line);
  };
  const lookAtAll = (): void =>
    fs
      .readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .forEach(look);
  const timers = [
    setInterval(lookAtAll, LOOK_EVERY_MS),
    setInterval(lookerAtNew(look), LOOK_AT_NEW_EVERY_MS),
  ];
  try {
    return [await work(), [...seen.values()]];
  } finally {
    for (const timer of timers) clearInterval(timer);
  }
}

/** Returns a function that looks at processes newer than its last call, several times each. */
export function lookerAtNew(look: (pid: string) => void): () => void {
  const left = new Map<number, number>();
  let known = newestProcess();
  return () => {
    const newest = newestProcess();
    // After the highest number, numbers begin at 1 again.
    for (let pid = newest < known ? 1 : known + 1; pid <= newest; pid++) left.set(pid, LOOKS_AT_NEW);
    known = newest;
    for (const [pid, looks] of left) {
      look(String(pid));
      if (looks > 1) left.set(pid, looks - 1);
      else left.delete(pid);
    }
  };
}

/** The number of the newest process or thread. */
const newestProcess = (): number => Number(fs.readFileSync("/proc/loadavg", "utf8").trim().split(" ").at(-1));

/**
 * Ignition and coreos-cloudinit pass password hashes to useradd on the first boot, before anyone can log in.
 */
const exceptFirstBoots = (commandLines: readonly string[]): string[] =>
  commandLines.filter((line) => !/^(\S*\/)?(user(add|mod) --root|useradd --password) /.test(line));

/**
 * An update that created a stack showed no secret: in no recorded command line, and in no log of a host.
 */
export async function expectKept(
  lab: Asked,
  commandLines: readonly string[],
  places: Readonly<Record<string, string>> = {},
): Promise<void> {
  const secrets = await secretsOf(lab);
  expect(secrets.length).toBeGreaterThan(20);
  expect(commandLines.filter((line) => line.includes("docker")).length).toBeGreaterThan(10);
  const all: Record<string, string> = {
    ...places,
    "command lines": exceptFirstBoots(commandLines).join("\n"),
  };
  for (const { name } of lab.nodes) all[`logs of ${name}`] = await logsOf(lab, name);
  expectNoSecret(secrets, all);
}

function commandLine(pid: string): string | undefined {
  try {
    return fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    return undefined;
  }
}
