/** When a node of MinIO may go: no object is left that one more fault would cost. */
import type { Connection, Store } from "../contract";
import { execInContainer } from "../docker/exec";
import { HostError, reasonOf, UnreachableError } from "../errors";
import { note } from "../log";
import { STORE_PASSWORD_FILE, STORE_USER_FILE } from "../rendered";
import { anyCode } from "../ssh/exec";
import { Deadline, poll, told } from "../time";
import { waitUntilHealed } from "./healing";
import { findStorageContainer, mc, storageContainer, type StorageContainer } from "./mc";

/** How long members may take until all of them can do without a drive. */
const SPARE_SECONDS = 600;
/** How long one member is asked at a time. */
const ASK_SECONDS = 15;
/** How long a wait may be before it is said what for. */
const PATIENCE_MS = 5000;

/**
 * Waits until the store can do without the drive of `node`, or of any other one: each member says that the others can do
 * without its own, for which it has to reach all of them, and none of them may be filling a drive that was blank. A
 * drive that was away and came back as it was is none of these; so then what it has missed is healed, where the program
 * sees to that at all. Nothing is waited for where no MinIO runs on `node`, or where it cannot be reached: what is not
 * there cannot go.
 * @param timeoutSeconds for what members say. @default 600
 * @throws HostError with the last reason, and what to do if it is the drive of `node` itself.
 */
export async function storageSpares(
  node: string,
  store: Store | undefined,
  timeoutSeconds = SPARE_SECONDS,
): Promise<void> {
  const own = store?.storageNodes.find((connection) => connection.node === node);
  if (store === undefined || own === undefined || !(await runs(own, store))) return;
  const deadline = new Deadline(timeoutSeconds);
  try {
    await patiently(node, "waits for MinIO, whose members do not all reach each other, or fill a drive", () =>
      Promise.all(store.storageNodes.map((member) => untilSpared(node, member, store, deadline))),
    );
    const first = store.storageNodes[0] ?? own;
    await patiently(node, "waits until all of MinIO's drives hold what was written while one was away", () =>
      waitUntilHealed(node, first, timeoutSeconds),
    );
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    const remedy =
      "Mend that (docs/runbook.md), and run again; where it is this node's own drive that is not well, take it away first: " +
      `\`docker service scale --detach ${store.services[node]}=0\` on a manager`;
    throw new HostError(node, `${reasonOf(error, node)}. ${remedy}`);
  }
}

async function patiently(node: string, why: string, work: () => Promise<unknown>): Promise<void> {
  const patience = setTimeout(() => note(node, why), PATIENCE_MS);
  await work().finally(() => clearTimeout(patience));
}

/** One that cannot be asked counts as running. */
async function runs(own: Connection, { services }: Store): Promise<boolean> {
  try {
    return (await findStorageContainer(own, services[own.node] ?? "")) !== undefined;
  } catch (error) {
    if (error instanceof HostError) return !(error instanceof UnreachableError);
    throw error;
  }
}

/** One member's word. It may be starting: its container may come, and go again. */
async function untilSpared(
  node: string,
  member: Connection,
  store: Store,
  deadline: Deadline,
): Promise<void> {
  const reason = await untilNone(member.node, deadline, () => reasonNotTo(member, store));
  if (reason === undefined) return;
  const asked = member.node === node ? "" : ` on ${member.node}`;
  throw new HostError(
    node,
    `MinIO${asked} cannot do without a drive, for ${told(deadline.seconds)} s now: ${reason}`,
  );
}

/** What `reasons` said last, if that was not nothing until the deadline passed; what fails is a reason, too. */
async function untilNone(
  node: string,
  deadline: Deadline,
  reasons: () => Promise<string>,
): Promise<string | undefined> {
  let reason = "";
  const none = await poll(deadline, 2, async () => {
    reason = await reasons().catch((error: unknown) => {
      if (error instanceof HostError) return reasonOf(error, node);
      throw error;
    });
    return reason === "" ? true : undefined;
  });
  return none ? undefined : reason;
}

async function reasonNotTo(member: Connection, { services }: Store): Promise<string> {
  const storage = await storageContainer(member, services[member.node] ?? "");
  const argv = ["ready", "local", "--maintenance"];
  const purpose = "asking MinIO whether the others can do without it";
  const ready = await mc(storage, { argv, purpose, endsAfter: ASK_SECONDS, accept: anyCode });
  if (ready.code === timedOut) return "it needs every drive, or heals one";
  if (ready.code !== 0) return ready.stderr.trim() || `\`mc ready\` ended with exit code ${ready.code}`;
  return missesDrives(storage);
}

/**
 * What a server writes large objects by can be away for up to 30 s longer than any of its checks says (the client of
 * MinIO's `internal/rest` beside the grid's), but it heals by that. So it is asked to heal some object that is there, and
 * says on which drives it was. In an empty store there is nothing that anybody could miss.
 * @returns why it does not count as reaching all of them, or nothing.
 */
async function missesDrives({ connection, container }: StorageContainer): Promise<string> {
  const { code, stdout, stderr } = await execInContainer(connection, {
    container,
    argv: ["sh", "-c", healSomeObject],
    purpose: "asking MinIO which drives it reaches",
    accept: anyCode,
  });
  if (code !== 0) return `it does not say which drives it reaches (exit code ${code}): ${stderr.trim()}`;
  const states = stdout.match(/"state": *"[^"]*"/g) ?? [];
  return states.every((state) => state.endsWith('"ok"')) ? "" : "it does not reach every drive yet";
}

/**
 * Its login is in the environment there, and on no command line. A store counts as empty once a list of it ends well.
 * MinIO's own image has no more than the shell and coreutils.
 */
const healSomeObject = `export MC_CONFIG_DIR=/tmp/.mc MC_HOST_local="http://$(cat ${STORE_USER_FILE}):$(cat ${STORE_PASSWORD_FILE})@127.0.0.1:9000"
some=$(timeout ${ASK_SECONDS} mc --quiet --json ls --recursive local | { IFS= read -r line; printf %s "$line"; })
case $some in
*'"key":"'*) some=\${some#*'"key":"'} ;;
*) exec timeout ${ASK_SECONDS} mc --quiet ls --recursive local >/dev/null ;;
esac
exec timeout ${ASK_SECONDS} mc --quiet --json admin heal --recursive "local/\${some%%'"'*}"`;

/** Of the command `timeout`. */
const timedOut = 124;
