/** A part of a node's files and units: put there over SSH, read back by refresh. */
import type { Connection, NodeFilesInputs, NodeFilesOutputs, Operation } from "../contract";
import { diffOf } from "../diff";
import { HostError } from "../errors";
import { note, warn } from "../log";
import { isReinstalled, readOrRecorded, recording, unlessUnreachable, withoutProvider } from "../operation";
import { brief } from "../ssh/connect";
import { runScript } from "../ssh/exec";
import { couldNotAsk } from "../ssh/pool";
import { settle } from "./apply";
import { asFound, parseFound, parsePending } from "./parse";
import { place } from "./place";
import { leavingUnits, plannedFor } from "./plan";
import { changed } from "./rollout";
import { applyScript, forgetPending, placedFiles, readScript } from "./scripts";
import { leaving } from "./shared";

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

/** Puts a part on a node that has nothing of it. */
async function made(inputs: NodeFilesInputs): Promise<NodeFilesOutputs> {
  checkNames(inputs);
  await settle(inputs, await place(inputs));
  return withoutProvider(inputs);
}

async function remove(connection: Connection, state: NodeFilesOutputs): Promise<void> {
  const left = await leaving(connection, placedFiles(state));
  const goneUnits = leavingUnits(state, { units: {} });
  const script = applyScript({ part: state.part, wanted: [], left, goneUnits });
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
    return { id, outs: await recording(id, inputs, () => made(inputs)) };
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
      // What former versions have recorded of `rolled` means nothing any more.
      ignored: ["cluster", "rolled", "deferIfUnreachable"],
    });
  },
  async update(id, state, inputs) {
    // Nothing of what is recorded is on a system that was just installed.
    if (isReinstalled(state, inputs)) return made(inputs);
    checkNames(inputs);
    try {
      await changed(id, inputs, state);
    } catch (error) {
      if (!inputs.deferIfUnreachable || !couldNotAsk(error)) throw error;
      const { node } = inputs.connection;
      warn(node, `cannot be reached: the files of ${inputs.part} stay as they are until the next update`);
      return withoutProvider(state);
    }
    return withoutProvider(inputs);
  },
  async delete(_id, state) {
    await unlessUnreachable(state.connection.node, `the files of ${state.part} stay there`, () =>
      remove(state.connection, state),
    );
  },
};
