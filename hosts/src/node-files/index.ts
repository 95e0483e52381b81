/** A part of a node's files and units: put there over SSH, read back by refresh. */
import type { Connection, NodeFilesInputs, NodeFilesOutputs, Operation } from "../contract";
import { diffOf } from "../diff";
import { HostError } from "../errors";
import { note, warn } from "../log";
import { isReinstalled, readOrRecorded, recording, unlessUnreachable, withoutProvider } from "../operation";
import { brief } from "../ssh/connect";
import { runScript } from "../ssh/exec";
import { settle } from "./apply";
import { asFound, parseFound, parsePending } from "./parse";
import { plannedFor } from "./plan";
import { rolled } from "./rollout";
import { applyScript, forgetPending, placedFiles, readScript } from "./scripts";
import { leaving, withOwnersKeys } from "./shared";

/** Puts a part in place; what `before` holds and `inputs` does not is removed. */
async function ensure(inputs: NodeFilesInputs, before?: NodeFilesOutputs): Promise<NodeFilesOutputs> {
  const { connection, part } = inputs;
  checkNames(inputs);
  const recorded = before ? placedFiles(before) : [];
  const wanted = await withOwnersKeys(connection, placedFiles(inputs), recorded);
  const kept = new Set(wanted.map((file) => file.path));
  const gone = await leaving(
    connection,
    recorded.filter((file) => !kept.has(file.path)),
  );
  const goneUnits = ownUnits(before).filter((name) => inputs.units[name]?.content === undefined);
  const { stdout } = await runScript(connection, applyScript(part, wanted, gone, goneUnits), [], {
    sudo: true,
    timeoutSeconds: 120,
    purpose: `placing the files of ${part}`,
    advice: "Files already placed stay; run again to go on.",
  });
  const changed = [...stdout.matchAll(/^(?:changed|removed) (.+)$/gm)].map((match) => match[1]);
  if (changed.length > 0)
    note(connection.node, `${part}: ${changed.length} of ${wanted.length} files changed`);
  await settle(inputs, parsePending(stdout));
  return withoutProvider(inputs);
}

/** Units whose text is ours; the others were there before us, and stay. */
function ownUnits(state: NodeFilesOutputs | undefined): string[] {
  const units = Object.entries(state?.units ?? {});
  return units.filter(([, unit]) => unit.content !== undefined).map(([name]) => name);
}

function checkNames({ connection, part, files, units }: NodeFilesInputs): void {
  const bad = (what: string, name: string) => new HostError(connection.node, `${part}: ${what} "${name}"`);
  if (!/^[\w.-]+$/.test(part))
    throw bad("a part's name is made of letters, digits, dots and dashes, not", part);
  for (const path of Object.keys(files))
    if (!/^\/[^\n]*[^/\n]$/.test(path)) throw bad("not an absolute path:", path);
  for (const name of Object.keys(units)) {
    if (!/^[\w@:.\\-]+\.(service|socket|timer|path|mount|target|slice)$/.test(name))
      throw bad("not a unit's name:", name);
  }
}

async function remove(connection: Connection, state: NodeFilesOutputs): Promise<void> {
  const left = await leaving(connection, placedFiles(state));
  const script = applyScript(state.part, [], left, ownUnits(state));
  const { stdout } = await runScript(connection, script, [], {
    sudo: true,
    timeoutSeconds: 120,
    purpose: `removing the files of ${state.part}`,
  });
  const pending = parsePending(stdout);
  const owners = left.flatMap(({ file }) =>
    file.shared && file.apply.action === "restart" ? [file.apply.unit] : [],
  );
  const restart = pending.restart.filter((unit) => owners.includes(unit));
  // An owner's settings are in force again. Any other restart, or a reboot, for what is leaving helps nobody; systemd
  // must only forget the units.
  if (restart.length > 0) {
    await settle({ ...state, files: {}, units: {} }, { ...pending, restart, reload: [], reboot: false });
  } else if (pending.daemonReload) {
    await runScript(connection, "systemctl daemon-reload", [], { sudo: true, purpose: "reloading systemd" });
  }
  await runScript(connection, forgetPending(state.part), [], { sudo: true, purpose: "tidying up" });
}

/**
 * Writes only what differs, atomically; runs the reloads, restarts and reboot that changes take, each once;
 * checks that enabled units run. An interrupted run is completed by the next one.
 */
export const nodeFiles: Operation<NodeFilesInputs, NodeFilesOutputs> = {
  async create(inputs) {
    const id = `${inputs.connection.node}/${inputs.part}`;
    return { id, outs: await recording(id, inputs, () => ensure(inputs)) };
  },
  read(id, state) {
    return readOrRecorded(state.connection.node, id, state, async () => {
      const paths = placedFiles(state).map((file) => file.path);
      const { stdout } = await runScript(state.connection, readScript(paths, Object.keys(state.units)), [], {
        sudo: true,
        patience: brief,
        purpose: `reading the files of ${state.part}`,
      });
      const outs = asFound(state, parseFound(stdout));
      if (outs.outOfService) warn(state.connection.node, "a change that was cut off has left it drained");
      return { id, outs };
    });
  },
  diff(state, inputs) {
    const planned = plannedFor(state, inputs);
    if (planned !== undefined) note(state.connection.node, `this update ${planned}`);
    if (state.outOfService) note(state.connection.node, "this update puts it back into service");
    return diffOf(state, inputs, {
      replace: ["part"],
      connections: ["connection"],
      ignored: ["cluster", "rolled"],
    });
  },
  update(id, state, inputs) {
    // Nothing of what is recorded is on a system that was just installed.
    if (isReinstalled(state, inputs)) return ensure(inputs);
    return inputs.rolled ? rolled(id, inputs, state, ensure) : ensure(inputs, state);
  },
  async delete(_id, state) {
    await unlessUnreachable(state.connection.node, `the files of ${state.part} stay there`, () =>
      remove(state.connection, state),
    );
  },
};
