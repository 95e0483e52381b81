import * as fs from "node:fs";
import { expect } from "vitest";
import { startTime } from "../../lab/exec";
import type { TestLab } from "./testLab";

/** What is asked of a lab and its stack here. */
export type Asked = Pick<TestLab, "nodes" | "state" | "mustRoot">;

/**
 * Every secret of the stack: those that its state marks, and the Swarm's own, by which a machine joins, that no state
 * has. Each is long enough that it does not occur by chance.
 */
export async function secretsOf(lab: Asked): Promise<string[]> {
  return [...secretTextsIn(await stateOf(lab)), ...(await joinTokens(lab))];
}

/** Of these the ones that were made to be nothing else: passwords and names, private keys line by line, and the tokens. */
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

/** The secrets of what is made of chance alone: by the providers `random` and `tls`. */
export function madeSecretsIn({ deployment }: State): string[] {
  const resources = deployment.resources.filter(({ type = "" }) => /^(random|tls):/.test(type));
  return secretTextsIn({ deployment: { resources } });
}

/** What a state with its secrets in clear marks as secret, text by text. */
export function secretTextsIn(state: State): string[] {
  const found = new Set<string>();
  collect(state, found);
  // A private key's encodings hold the public key as well, which is nobody's secret, and stands in certificates too.
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

/** A secret may be a whole object, and hold what is marked as secret once more. */
function textsOf(secret: unknown, found: Set<string>): void {
  if (typeof secret === "string") linesOf(secret).forEach((line) => found.add(line));
  else if (typeof secret === "object" && secret !== null) {
    const { plaintext } = secret as { plaintext?: unknown };
    if (typeof plaintext === "string") textsOf(JSON.parse(plaintext), found);
    else Object.values(secret).forEach((inner) => textsOf(inner, found));
  }
}

/** Longer texts also hold what is nobody's secret, such as the host's name in a user data. */
const LONG = 600;

/** Of a text of one line, a password as a rule, all; of others what is a key's line, or looks like one. */
function linesOf(text: string): string[] {
  const lines = text.split("\n").filter((line) => !line.startsWith("-----"));
  if (text.length >= LONG) return lines.filter((line) => /^[\w+/=.:$-]{32,}$/.test(line) && /\d/.test(line));
  const atLeast = text.trim().includes("\n") ? 16 : 10;
  return lines.filter((line) => line.length >= atLeast);
}

/** @param places texts, by where they stand */
export function expectNoSecret(secrets: readonly string[], places: Readonly<Record<string, string>>): void {
  for (const [place, text] of Object.entries(places)) {
    expect(
      secrets.filter((secret) => text.includes(secret)),
      place,
    ).toEqual([]);
  }
}

/** What a host has written down of what happened there: the journal, and what containers said. */
export function logsOf(lab: Asked, host: string): Promise<string> {
  return lab.mustRoot(
    host,
    `journalctl -b --no-pager; find "$(docker info --format '{{.DockerRootDir}}')/containers" -name '*-json.log*' -exec cat {} +`,
  );
}

/** At all processes: those of a lab are some hundreds, and each look at them takes 10 ms of a processor. */
const LOOK_EVERY_MS = 250;
/** At a new process: most are over before the next look at all of them. */
const LOOK_AT_NEW_EVERY_MS = 1;
/** A process is its parent's copy until it becomes another program. */
const LOOKS_AT_NEW = 5;

/**
 * Writes down the command line of every process of this machine and of all lab hosts, whose processes are among the
 * machine's, while `work` is under way. One that is over within a few milliseconds may be missed.
 */
export async function commandLinesDuring<T>(work: () => Promise<T>): Promise<[T, string[]]> {
  const seen = new Map<string, string>();
  const look = (pid: string): void => {
    const line = commandLine(pid);
    // A process keeps its number and start when it becomes another program.
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

/** Gives a function that looks at the processes which have come since it was called last, and at those some times more. */
export function lookerAtNew(look: (pid: string) => void): () => void {
  const left = new Map<number, number>();
  let known = newestProcess();
  return () => {
    const newest = newestProcess();
    // After the highest number they begin anew.
    for (let pid = newest < known ? 1 : known + 1; pid <= newest; pid++) left.set(pid, LOOKS_AT_NEW);
    known = newest;
    for (const [pid, looks] of left) {
      look(String(pid));
      if (looks > 1) left.set(pid, looks - 1);
      else left.delete(pid);
    }
  };
}

/** The number that was given last to a process, or to a thread. */
const newestProcess = (): number => Number(fs.readFileSync("/proc/loadavg", "utf8").trim().split(" ").at(-1));

/**
 * Command lines without those by which Ignition and coreos-cloudinit make users, on a first boot, before anybody can log in:
 * they hand users' password hashes to useradd.
 */
const exceptFirstBoots = (commandLines: readonly string[]): string[] =>
  commandLines.filter((line) => !/^(\S*\/)?(user(add|mod) --root|useradd --password) /.test(line));

/**
 * An update that makes a stack shows no secret of it on its hosts: in no command line that was written down meanwhile,
 * and in no log.
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
