/** Putting a part's files where they belong; and looking what that would take, with nothing changed. */
import type { NodeFilesInputs, NodeFilesOutputs } from "../contract";
import { note } from "../log";
import { runScript } from "../ssh/exec";
import { parseFound, parsePending, type FoundUnit, type Pending } from "./parse";
import { leavingUnits } from "./plan";
import { applyScript, lookScript, placedFiles, type Placing } from "./scripts";
import { leaving, withOwnersKeys } from "./shared";

/** What `before` holds and `inputs` does not is to leave. */
async function placingOf(inputs: NodeFilesInputs, before?: NodeFilesOutputs): Promise<Placing> {
  const { connection, part } = inputs;
  const recorded = before ? placedFiles(before) : [];
  const wanted = await withOwnersKeys(connection, placedFiles(inputs), recorded);
  const kept = new Set(wanted.map((file) => file.path));
  const gone = recorded.filter((file) => !kept.has(file.path));
  const goneUnits = before ? leavingUnits(before, inputs) : [];
  return { part, wanted, left: await leaving(connection, gone), goneUnits };
}

/** Writes only what differs, atomically, and gives what that takes. */
export async function place(inputs: NodeFilesInputs, before?: NodeFilesOutputs): Promise<Pending> {
  const { connection, part } = inputs;
  const placing = await placingOf(inputs, before);
  const { stdout } = await runScript(connection, applyScript(placing), [], {
    sudo: true,
    timeoutSeconds: 120,
    purpose: `placing the files of ${part}`,
    advice: "Files already placed stay; run again to go on.",
  });
  const changed = [...stdout.matchAll(/^(?:changed|removed) (.+)$/gm)].map((match) => match[1]);
  if (changed.length > 0)
    note(connection.node, `${part}: ${changed.length} of ${placing.wanted.length} files changed`);
  return parsePending(stdout);
}

export interface Ahead {
  /** What placing the files would take, besides what an interrupted run has left to do. */
  readonly pending: Pending;
  /** Whether a unit would start, stop, restart or read files anew. */
  readonly touchesUnits: boolean;
}

/** By what is on the node now, which is not always what is recorded. */
export async function lookAhead(inputs: NodeFilesInputs, before: NodeFilesOutputs): Promise<Ahead> {
  const { connection, part, units } = inputs;
  const placing = await placingOf(inputs, before);
  const switched = Object.keys(units).filter((name) => units[name]?.enabled !== undefined);
  const named = [...new Set([...switched, ...placing.goneUnits])];
  const { stdout } = await runScript(connection, lookScript(placing, named), [], {
    sudo: true,
    timeoutSeconds: 120,
    purpose: `looking at the files of ${part}`,
  });
  const pending = parsePending(stdout);
  const { units: found } = parseFound(stdout);
  const wantsOn = (name: string) => units[name]?.enabled === true && !placing.goneUnits.includes(name);
  const moves = named.some((name) => isRunning(found.get(name)) !== wantsOn(name));
  const told = pending.reboot || pending.restart.length + pending.reload.length > 0;
  return { pending, touchesUnits: moves || told };
}

const isRunning = (unit: FoundUnit | undefined): boolean => unit?.active === "yes" || unit?.active === "soon";
