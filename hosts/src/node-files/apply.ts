/** What changed files and units take: reloads, restarts and reboots, each once, and proof that units run. */
import type { Connection, NodeFilesInputs } from "../contract";
import { HostError } from "../errors";
import { disruptionLock } from "../locks";
import { note } from "../log";
import { rebootAndWait } from "../reboot";
import { brief } from "../ssh/connect";
import { runScript } from "../ssh/exec";
import { quote } from "../ssh/quote";
import { awaitDocker, dockerInfo } from "../swarm/managers";
import { endAbsence, outOfService } from "../swarm/out-of-service";
import { Deadline, poll } from "../time";
import { parseFound } from "./parse";
import type { FoundUnit, Pending } from "./parse";
import { forgetPending, unitStateFunction } from "./scripts";

const DOCKER = "docker.service";
const SETTLE_SECONDS = 60;
const REBOOT_SECONDS = 600;

/** Runs what is pending, then brings units to their wanted state and checks them. */
export async function settle(inputs: NodeFilesInputs, pending: Pending): Promise<void> {
  const { connection, part, units } = inputs;
  const named = Object.entries(units);
  const on = named.filter(([, unit]) => unit.enabled === true).map(([name]) => name);
  const off = named.filter(([, unit]) => unit.enabled === false).map(([name]) => name);
  const restart = pending.restart.filter((unit) => !off.includes(unit));
  const reload = pending.reload.filter((unit) => !off.includes(unit));
  const work = async () => {
    await runActions(connection, pending.daemonReload, restart, reload, on, off);
    if (restart.includes(DOCKER)) await awaitDocker(connection);
    if (pending.reboot) await rebootOnce(connection);
    await verify(connection, on);
  };
  await (stops(pending, restart) ? apart(inputs, work) : work());
  if (pending.outOfService && inputs.cluster) await endAbsence(connection, inputs.cluster);
  const { daemonReload, reboot } = pending;
  if (!daemonReload && !reboot && pending.restart.length + pending.reload.length === 0) return;
  await runScript(connection, forgetPending(part), [], { sudo: true, purpose: "noting that all is applied" });
}

/** Whether what is pending stops the node's containers. */
function stops({ reboot }: Pending, restart: readonly string[]): boolean {
  return reboot || restart.includes(DOCKER);
}

/** Members of a Swarm go down one after the other; hosts that are in none yet need not wait for each other. */
async function apart({ connection, cluster }: NodeFilesInputs, work: () => Promise<void>): Promise<void> {
  if (cluster) return outOfService(connection, cluster, work);
  const state = await dockerInfo(connection).then(
    ({ Swarm }) => Swarm.LocalNodeState,
    () => "inactive",
  );
  await (state === "" || state === "inactive" ? work() : disruptionLock.use(work));
}

async function runActions(
  connection: Connection,
  daemonReload: boolean,
  restart: readonly string[],
  reload: readonly string[],
  on: readonly string[],
  off: readonly string[],
): Promise<void> {
  const lines = [
    ...(daemonReload ? ["systemctl daemon-reload"] : []),
    ...off.map((unit) => `off ${quote(unit)}`),
    ...on.map((unit) => `on ${quote(unit)}`),
    ...restart.map((unit) => `act restart ${quote(unit)}`),
    ...reload.map((unit) => `act reload-or-restart ${quote(unit)}`),
  ];
  if (lines.length === 0) return;
  const script = `${actionFunctions}\n${lines.join("\n")}\n[ "$failures" -eq 0 ]`;
  await runScript(connection, script, [], {
    sudo: true,
    timeoutSeconds: 300,
    purpose: "applying changed files and units",
  });
}

/** A unit that this run has just started need not be restarted on top of it. */
const actionFunctions = `
failures=0 started=" "
explain() {
  echo "$1 of $2 failed:" >&2
  journalctl -n 6 --no-pager -o cat -u "$2" >&2 2>/dev/null || :
  failures=$((failures + 1))
}
off() {
  if systemctl cat "$1" >/dev/null 2>&1; then systemctl disable --now "$1" >/dev/null 2>&1 || explain "stopping" "$1"; fi
}
on() {
  if systemctl is-enabled -q "$1" 2>/dev/null && systemctl is-active -q "$1"; then return 0; fi
  systemctl is-active -q "$1" || started="$started$1 "
  systemctl reset-failed "$1" 2>/dev/null || :
  problem=$(systemctl enable "$1" 2>&1) || { echo "$problem" >&2; explain "enabling" "$1"; return 0; }
  systemctl start "$1" || explain "starting" "$1"
}
act() {
  case "$started" in *" $2 "*) return 0 ;; esac
  # A unit that is not there yet will start with the new files anyway.
  if ! systemctl cat "$2" >/dev/null 2>&1; then return 0; fi
  systemctl reset-failed "$2" 2>/dev/null || :
  systemctl "$1" "$2" || explain "$1" "$2"
}
`;

async function rebootOnce(connection: Connection): Promise<void> {
  const member = await dockerInfo(connection).catch(() => undefined);
  await rebootAndWait(connection, REBOOT_SECONDS);
  if (member?.Swarm.LocalNodeState === "active") await awaitDocker(connection);
}

async function verify(connection: Connection, units: readonly string[]): Promise<void> {
  if (units.length === 0) return;
  let found: ReadonlyMap<string, FoundUnit> = new Map();
  const script = `${unitStateFunction}\n${units.map((unit) => `state ${quote(unit)}`).join("\n")}`;
  const bad = () =>
    units.filter((unit) => found.get(unit)?.active !== "yes" || found.get(unit)?.enabled !== true);
  await poll(new Deadline(SETTLE_SECONDS), 1, async () => {
    const { stdout } = await runScript(connection, script, [], { sudo: true, purpose: "checking units" });
    found = parseFound(stdout).units;
    const starting = units.some((unit) => found.get(unit)?.active === "soon");
    return starting && bad().length > 0 ? undefined : true;
  });
  if (bad().length === 0) return;
  const journal = await runScript(connection, bad().map(journalOf).join("\n"), [], {
    sudo: true,
    patience: brief,
  });
  note(connection.node, `units that do not run: ${bad().join(", ")}`);
  throw new HostError(connection.node, `these units do not run:\n${journal.stdout.trimEnd()}`);
}

function journalOf(unit: string): string {
  const name = quote(unit);
  return `echo ${name}: "$(systemctl is-enabled ${name} 2>/dev/null)", "$(systemctl is-active ${name})"; journalctl -n 6 --no-pager -o cat -u ${name} 2>/dev/null | sed 's/^/  /'`;
}
