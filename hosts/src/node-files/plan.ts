/** What an update of a part will do to its node, for a preview to say. */
import { isInstalledAnew } from "../installed-anew";
import type { NodeFilesInputs, NodeFilesOutputs } from "../contract";
import { equal, UNKNOWN } from "../diff";
import { leavesWithItsUnit, placedFiles, type Placed } from "./scripts";

/** What an update of a part does on its node, by what is recorded. */
interface Change {
  readonly written: readonly Placed[];
  readonly removed: readonly Placed[];
  readonly reboots: boolean;
  readonly stops: readonly string[];
  readonly starts: readonly string[];
  readonly restarts: readonly string[];
  readonly reloads: readonly string[];
}

/** Units whose text is ours, and no longer is; the others were there before us, and stay. */
export function leavingUnits(state: NodeFilesOutputs, inputs: Pick<NodeFilesInputs, "units">): string[] {
  const own = Object.keys(state.units).filter((name) => state.units[name]?.content !== undefined);
  return own.filter((name) => inputs.units[name]?.content === undefined);
}

/**
 * One line that says what is written and what that takes; nothing where nothing is known to change, nor on a node that
 * is installed anew, which all of it is part of.
 */
export function plannedFor(state: NodeFilesOutputs, inputs: NodeFilesInputs): string | undefined {
  if ([inputs.files, inputs.units].some((value) => (value as unknown) === UNKNOWN)) return undefined;
  if (isInstalledAnew(state.connection.node)) return undefined;
  const change = changeOf(state, inputs);
  const parts = [
    named("writes", paths(change.written)),
    named("removes", paths(change.removed)),
    // Everything else is needless to say.
    ...(change.reboots ? ["reboots the node, drained meanwhile"] : takes(change)),
  ];
  return parts.filter((part) => part !== "").join("; ") || undefined;
}

function takes({ stops, starts, restarts, reloads }: Change): string[] {
  const drained = restarts.includes("docker.service") ? ", the node drained meanwhile" : "";
  return [
    named("stops", stops),
    named("starts", starts),
    `${named("restarts", restarts)}${drained}`,
    named("reloads", reloads),
  ];
}

/** What an update writes, by what is recorded. */
export function writtenFiles(state: NodeFilesOutputs, inputs: NodeFilesInputs): Placed[] {
  const before = placedFiles(state);
  return placedFiles(inputs).filter((file) => !before.some((old) => sameFile(old, file)));
}

function changeOf(state: NodeFilesOutputs, inputs: NodeFilesInputs): Change {
  const before = placedFiles(state);
  const after = placedFiles(inputs);
  const written = writtenFiles(state, inputs);
  const removed = before.filter(({ path }) => !after.some((file) => file.path === path));
  const gone = leavingUnits(state, inputs);
  const applies = [...written, ...removed.filter((file) => !leavesWithItsUnit(file, gone))].map(
    ({ apply }) => apply,
  );
  const told = (action: "restart" | "reload") =>
    applies
      .flatMap((apply) => (apply.action === action ? [apply.unit] : []))
      .filter((unit, index, all) => all.indexOf(unit) === index && inputs.units[unit]?.enabled !== false);
  const switched = switchedUnits(state, inputs, gone, told("restart"));
  const restarts = told("restart").filter((unit) => !switched.starts.includes(unit));
  return {
    written,
    removed,
    reboots: applies.some(({ action }) => action === "reboot"),
    ...switched,
    restarts,
    reloads: told("reload").filter((unit) => !restarts.includes(unit) && !switched.starts.includes(unit)),
  };
}

/** Whether one that is recorded as partly on runs is not known: where it is restarted, that is said. */
function switchedUnits(
  { units: before }: NodeFilesOutputs,
  { units }: NodeFilesInputs,
  gone: readonly string[],
  restarted: readonly string[],
): Pick<Change, "starts" | "stops"> {
  const names = Object.keys(units);
  const isNew = (name: string) => units[name]?.content !== undefined && before[name]?.content === undefined;
  const isStopped = (name: string) => isNew(name) || before[name]?.enabled === false || gone.includes(name);
  const turnedOn = names
    .filter((name) => units[name]?.enabled === true)
    .filter((name) => before[name]?.enabled !== true || gone.includes(name));
  const turnedOff = names
    .filter((name) => units[name]?.enabled === false)
    .filter((name) => before[name]?.enabled !== false && !isNew(name));
  return {
    starts: turnedOn.filter((name) => isStopped(name) || !restarted.includes(name)),
    stops: [...new Set([...gone, ...turnedOff])],
  };
}

function sameFile(old: Placed, file: Placed): boolean {
  return (
    old.path === file.path && equal([old.content, old.mode, old.owner], [file.content, file.mode, file.owner])
  );
}

const paths = (files: readonly Placed[]): string[] => files.map(({ path }) => path);

const named = (verb: string, names: readonly string[]): string =>
  names.length === 0 ? "" : `${verb} ${names.join(", ")}`;
