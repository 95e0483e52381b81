/** What an update of a part will do to its node, for a preview to say. */
import { isInstalledAnew } from "../installed-anew";
import type { NodeFilesInputs, NodeFilesOutputs } from "../contract";
import { equal, UNKNOWN } from "../diff";
import { placedFiles, type Placed } from "./scripts";

/**
 * One line that says what is written and what that takes; nothing where nothing is known to change, nor on a node that
 * is installed anew, which all of it is part of.
 */
export function plannedFor(state: NodeFilesOutputs, inputs: NodeFilesInputs): string | undefined {
  if ([inputs.files, inputs.units].some((value) => (value as unknown) === UNKNOWN)) return undefined;
  if (isInstalledAnew(state.connection.node)) return undefined;
  const { written, removed } = differing(state, inputs);
  if (written.length + removed.length === 0) return undefined;
  const parts = [
    named("writes", written),
    named("removes", removed),
    // What leaves is not restarted for, unless its owner has keys in it.
    ...takes([...written, ...removed.filter(({ shared }) => shared)]),
  ];
  return parts.filter((part) => part !== "").join("; ");
}

/** Whether an update of a part restarts units on its node, or has them read files anew. */
export function touchesUnits(state: NodeFilesOutputs, inputs: NodeFilesInputs): boolean {
  const { written } = differing(state, inputs);
  return written.some(({ apply }) => apply.action === "restart" || apply.action === "reload");
}

export function differing(state: NodeFilesOutputs, inputs: NodeFilesInputs) {
  const before = placedFiles(state);
  const after = placedFiles(inputs);
  return {
    written: after.filter((file) => !before.some((old) => sameFile(old, file))),
    removed: before.filter(({ path }) => !after.some((file) => file.path === path)),
  };
}

function sameFile(old: Placed, file: Placed): boolean {
  return (
    old.path === file.path && equal([old.content, old.mode, old.owner], [file.content, file.mode, file.owner])
  );
}

const named = (verb: string, files: readonly Placed[]): string =>
  files.length === 0 ? "" : `${verb} ${files.map(({ path }) => path).join(", ")}`;

/** A reboot makes everything else needless to say. */
function takes(files: readonly Placed[]): string[] {
  const applies = files.map(({ apply }) => apply);
  const units = (action: "restart" | "reload") => [
    ...new Set(applies.flatMap((apply) => (apply.action === action ? [apply.unit] : []))),
  ];
  if (applies.some(({ action }) => action === "reboot")) return ["reboots the node, drained meanwhile"];
  const restarted = units("restart");
  const drained = restarted.includes("docker.service") ? ", the node drained meanwhile" : "";
  return [
    restarted.length > 0 ? `restarts ${restarted.join(", ")}${drained}` : "",
    units("reload").length > 0 ? `reloads ${units("reload").join(", ")}` : "",
  ];
}
