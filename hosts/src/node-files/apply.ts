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
/** How long units that were started must have run before the next node gets what they were started for. */
const STEADY_SECONDS = 2;
const REBOOT_SECONDS = 600;

/** Carries out what is pending; one node after the other where it stops containers. */
export async function settle(inputs: NodeFilesInputs, pending: Pending): Promise<void> {
  const work = () => carryOut(inputs, pending);
  await (stopsContainers(inputs, pending) ? apart(inputs, work) : work());
  if (pending.outOfService && inputs.cluster) await endAbsence(inputs.connection, inputs.cluster);
}

/** Whether what is pending stops the node's containers. */
export function stopsContainers(inputs: NodeFilesInputs, { reboot, restart }: Pending): boolean {
  return reboot || wantedOf(inputs, restart).includes(DOCKER);
}

/** Units that are not to be off. */
function wantedOf({ units }: NodeFilesInputs, names: readonly string[]): string[] {
  return names.filter((name) => units[name]?.enabled !== false);
}

/**
 * Runs what is pending, then brings units to their wanted state and checks them.
 * @param steady whether those that were started have to run for a moment before they are believed
 */
export async function carryOut(inputs: NodeFilesInputs, pending: Pending, steady = false): Promise<void> {
  const { connection, part, units } = inputs;
  const named = Object.entries(units);
  const on = named.filter(([, unit]) => unit.enabled === true).map(([name]) => name);
  const off = named.filter(([, unit]) => unit.enabled === false).map(([name]) => name);
  const { daemonReload, reboot } = pending;
  const [restart, reload] = [wantedOf(inputs, pending.restart), wantedOf(inputs, pending.reload)];
  const moved = await runActions(connection, [
    ...(daemonReload ? ["systemctl daemon-reload"] : []),
    ...off.map((unit) => `off ${quote(unit)}`),
    ...on.map((unit) => `on ${quote(unit)}`),
    ...restart.map((unit) => `act restart ${quote(unit)}`),
    ...reload.map((unit) => `act reload-or-restart ${quote(unit)}`),
  ]);
  if (restart.includes(DOCKER)) await awaitDocker(connection);
  if (reboot) await rebootOnce(connection);
  await verify(connection, on, moved, steady);
  if (!daemonReload && !reboot && pending.restart.length + pending.reload.length === 0) return;
  await runScript(connection, forgetPending(part), [], { sudo: true, purpose: "noting that all is applied" });
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

/** Gives the units that were started or restarted. */
async function runActions(connection: Connection, lines: readonly string[]): Promise<string[]> {
  if (lines.length === 0) return [];
  const script = `${actionFunctions}\n${lines.join("\n")}\n[ "$failures" -eq 0 ]`;
  const { stdout } = await runScript(connection, script, [], {
    sudo: true,
    timeoutSeconds: 300,
    purpose: "applying changed files and units",
  });
  return [...stdout.matchAll(/^moved (\S+)$/gm)].map(([, unit = ""]) => unit);
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
  if systemctl start "$1"; then echo "moved $1"; else explain "starting" "$1"; fi
}
act() {
  case "$started" in *" $2 "*) return 0 ;; esac
  # A unit that is not there yet will start with the new files anyway.
  if ! systemctl cat "$2" >/dev/null 2>&1; then return 0; fi
  systemctl reset-failed "$2" 2>/dev/null || :
  if ! systemctl "$1" "$2"; then explain "$1" "$2"; return 0; fi
  if [ "$1" = restart ]; then echo "moved $2"; fi
}
`;

async function rebootOnce(connection: Connection): Promise<void> {
  const member = await dockerInfo(connection).catch(() => undefined);
  await rebootAndWait(connection, REBOOT_SECONDS);
  if (member?.Swarm.LocalNodeState === "active") await awaitDocker(connection);
}

/** That those units are well that are to be on, and those that were `moved`. */
async function verify(
  connection: Connection,
  on: readonly string[],
  moved: readonly string[],
  steady: boolean,
): Promise<void> {
  const units = [...new Set([...on, ...moved])];
  if (units.length === 0) return;
  const script = `${unitStateFunction}\n${units.map((unit) => `state ${quote(unit)}`).join("\n")}`;
  let bad: readonly string[] = units;
  let calm = { since: "", from: 0 };
  const deadline = new Deadline(SETTLE_SECONDS);
  const now = () => deadline.clock.now();
  const settled = await poll(deadline, 1, async () => {
    const { stdout } = await runScript(connection, script, [], { sudo: true, purpose: "checking units" });
    const { units: found } = parseFound(stdout);
    bad = units.filter((unit) => !isWell(found.get(unit), on.includes(unit)));
    if (bad.length > 0) return units.some((unit) => found.get(unit)?.active === "soon") ? undefined : true;
    const since = moved.map((unit) => found.get(unit)?.since).join();
    if (since !== calm.since) calm = { since, from: now() };
    const isCalm = now() - calm.from >= STEADY_SECONDS * 1000;
    return !steady || moved.length === 0 || isCalm ? true : undefined;
  });
  const troubled = settled || bad.length > 0 ? bad : moved;
  if (troubled.length === 0) return;
  const journal = await runScript(connection, troubled.map(journalOf).join("\n"), [], {
    sudo: true,
    patience: brief,
  });
  note(connection.node, `units that do not run: ${troubled.join(", ")}`);
  throw new HostError(connection.node, `these units do not run:\n${journal.stdout.trimEnd()}`);
}

/** A unit that is to be on runs and is enabled; any other may have ended, if it ended well. */
function isWell(found: FoundUnit | undefined, isOn: boolean): boolean {
  if (isOn) return found?.active === "yes" && found.enabled;
  return found?.active === "yes" || found?.active === "no";
}

function journalOf(unit: string): string {
  const name = quote(unit);
  return `echo ${name}: "$(systemctl is-enabled ${name} 2>/dev/null)", "$(systemctl is-active ${name})"; journalctl -n 6 --no-pager -o cat -u ${name} 2>/dev/null | sed 's/^/  /'`;
}
