/** Where the Docker provider's way in finds its managers: in the stack's own state. */
import { execFile } from "node:child_process";
import type { Connection } from "../contract";
import { messageOf } from "../errors";

interface Resource {
  readonly type?: string;
  readonly id?: string;
  readonly inputs?: Record<string, unknown>;
  readonly outputs?: Record<string, unknown>;
}

/** Pulumi's mark on a secret in an exported state. */
const SECRET_KEY = "4dabf18193072939515e22adb298388d";
const SECRET = "1b47061264138c4ac30d75fd1eb44270";

/** What a stack's state says of its Swarm. */
export interface RecordedSwarm {
  /** The managers' connections, in the order they were made. */
  readonly managers: Connection[];
  /** Names of all that is recorded with a name of its own. */
  readonly names: ReadonlySet<string>;
}

/** Ids of all that a stack's state holds, also of what an update is yet to delete. */
export async function recordedIds(stack: string): Promise<Set<string>> {
  return idsInState(await exported(stack));
}

/** The Swarm of a stack as recorded, from `pulumi stack export --show-secrets`, run where the project is. */
export async function recordedSwarm(stack: string): Promise<RecordedSwarm> {
  const state = await exported(stack, "--show-secrets");
  return { managers: managersInState(state), names: namesInState(state) };
}

/** A stack's state as `pulumi stack export` prints it; without a name that of the stack that is selected. */
export async function exported(stack: string | undefined, ...flags: string[]): Promise<unknown> {
  const named = stack === undefined ? [] : ["--stack", stack];
  const text = await new Promise<string>((resolve, reject) => {
    const options = { maxBuffer: 256 * 1024 * 1024, timeout: 60_000 };
    execFile("pulumi", ["stack", "export", ...flags, ...named], options, (error, stdout, stderr) => {
      if (error)
        reject(
          new Error(
            `stack ${stack ?? "(the selected one)"} cannot be read: ${stderr.trim().split("\n")[0] || messageOf(error)}`,
          ),
        );
      else resolve(stdout);
    });
  });
  return JSON.parse(text);
}

/** The connections of a state's Swarm members with the role of a manager, in the order they were made. */
export function managersInState(state: unknown): Connection[] {
  const { deployment } = state as { deployment?: { resources?: Resource[] } };
  const members = (deployment?.resources ?? []).filter((resource) => resource.type?.endsWith(":SwarmMember"));
  return members.flatMap((member) => {
    const values = plain({ ...member.inputs, ...member.outputs }) as {
      role?: string;
      connection?: Connection;
    };
    return values.role === "manager" && values.connection?.host !== undefined ? [values.connection] : [];
  });
}

export function idsInState(state: unknown): Set<string> {
  const { deployment } = state as { deployment?: { resources?: Resource[] } };
  return new Set((deployment?.resources ?? []).flatMap(({ id }) => (id === undefined ? [] : [id])));
}

export function namesInState(state: unknown): Set<string> {
  const { deployment } = state as { deployment?: { resources?: Resource[] } };
  const names = (deployment?.resources ?? []).map((resource) => resource.outputs?.["name"]);
  return new Set(names.filter((name) => typeof name === "string"));
}

/** A value of a state without Pulumi's marks on what is secret. */
export function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  const record = value as Record<string, unknown>;
  if (record[SECRET_KEY] === SECRET) {
    return typeof record["plaintext"] === "string" ? plain(JSON.parse(record["plaintext"])) : record["value"];
  }
  return Object.fromEntries(Object.entries(record).map(([key, item]) => [key, plain(item)]));
}
