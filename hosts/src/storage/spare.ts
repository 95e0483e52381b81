/** When a node of MinIO may go: no object is left that one more fault would cost. */
import type { Connection, Store } from "../contract";
import { execInContainer } from "../docker/exec";
import { HostError, reasonOf } from "../errors";
import { note } from "../log";
import { HEALING_SCRIPT, STORE_PASSWORD_FILE, STORE_USER_FILE } from "../rendered";
import { anyCode, runScript } from "../ssh/exec";
import { Deadline, poll } from "../time";
import { mc, storageContainer, type StorageContainer } from "./mc";

/** How long members may take until all of them can do without a drive. */
const SPARE_SECONDS = 600;
/** How long one member is asked at a time. */
const ASK_SECONDS = 15;
/** How long it may take to bring to all drives what one of them has missed: that looks at every object. */
const HEALING_SECONDS = 3600;
/** How long a wait may be before it is said what for. */
const PATIENCE_MS = 5000;

/**
 * Waits until the store can do without the drive of `node`, or of any other one: each member says that the others can do
 * without its own, for which it has to reach all of them, and none of them may be filling a drive that was blank. A
 * drive that was away and came back as it was is none of these; so then what it has missed is healed, where the program
 * sees to that at all. Nothing is waited for where no MinIO runs on `node`.
 * @param timeoutSeconds for what members say. @default 600
 * @throws HostError with the last reason.
 */
export async function storageSpares(
  node: string,
  store: Store | undefined,
  timeoutSeconds = SPARE_SECONDS,
): Promise<void> {
  const own = store?.storageNodes.find((connection) => connection.node === node);
  if (store === undefined || own === undefined || !(await runs(own, store))) return;
  const deadline = new Deadline(timeoutSeconds);
  await patiently(node, "waits for MinIO, whose members do not all reach each other, or fill a drive", () =>
    Promise.all(store.storageNodes.map((member) => spares(node, member, store, deadline))),
  );
  await patiently(node, "waits until all of MinIO's drives hold what was written while one was away", () =>
    heals(node, store),
  );
}

async function patiently(node: string, why: string, work: () => Promise<unknown>): Promise<void> {
  const patience = setTimeout(() => note(node, why), PATIENCE_MS);
  await work().finally(() => clearTimeout(patience));
}

async function runs(own: Connection, { services }: Store): Promise<boolean> {
  const found = await storageContainer(own, services[own.node] ?? "").catch(() => undefined);
  return found !== undefined;
}

/** One member's word. It may be starting: its container may come, and go again. */
async function spares(node: string, member: Connection, store: Store, deadline: Deadline): Promise<void> {
  let reason = "";
  const spare = await poll(deadline, 2, async () => {
    reason = await reasonNotTo(member, store).catch((error: unknown) => {
      if (error instanceof HostError) return reasonOf(error, member.node);
      throw error;
    });
    return reason === "" ? true : undefined;
  });
  if (spare) return;
  const asked = member.node === node ? "" : ` on ${member.node}`;
  throw new HostError(
    node,
    `MinIO${asked} cannot do without a drive, for ${deadline.seconds} s now: ${reason}`,
  );
}

async function reasonNotTo(member: Connection, { services, storageNodes: [first] }: Store): Promise<string> {
  const storage = await storageContainer(member, services[member.node] ?? "");
  const argv = ["ready", "local", "--maintenance"];
  const purpose = "asking MinIO whether the others can do without it";
  const ready = await mc(storage, { argv, purpose, endsAfter: ASK_SECONDS, accept: anyCode });
  if (ready.code === timedOut) return "it needs every drive, or heals one";
  if (ready.code !== 0) return ready.stderr.trim();
  // The first one looks by itself before it heals, as it can do but one of these at a time.
  return member === first || (await reachesAll(storage)) ? "" : "it does not reach every drive yet";
}

/**
 * What a server writes large objects by can be away for up to 30 s longer than any of its checks says (the client of
 * MinIO's `internal/rest` beside the grid's), but it heals by that. So it is asked to heal some object that is there, and
 * says on which drives it was. In an empty store there is nothing that anybody could miss.
 */
async function reachesAll({ connection, container }: StorageContainer): Promise<boolean> {
  const { code, stdout } = await execInContainer(connection, {
    container,
    argv: ["sh", "-c", healsSomeObject],
    purpose: "asking MinIO which drives it reaches",
    accept: anyCode,
  });
  const states = stdout.match(/"state": *"[^"]*"/g) ?? [];
  return code === 0 && states.every((state) => state.endsWith('"ok"'));
}

/** Its login is in the environment there, and on no command line. */
const healsSomeObject = `export MC_CONFIG_DIR=/tmp/.mc MC_HOST_local="http://$(cat ${STORE_USER_FILE}):$(cat ${STORE_PASSWORD_FILE})@127.0.0.1:9000"
some=$(timeout ${ASK_SECONDS} mc --quiet --json ls --recursive local | head -n 1 | sed -n 's/.*"key":"\\([^"]*\\)".*/\\1/p')
[ -z "$some" ] || exec timeout ${ASK_SECONDS} mc --quiet --json admin heal --recursive "local/$some"`;

/** Of the command `timeout`. */
const timedOut = 124;

/** The first storage node sees to healing; where it is switched off there is no script, and MinIO's own ways have to do. */
async function heals(node: string, { storageNodes: [first] }: Store): Promise<void> {
  if (first === undefined) return;
  const deadline = new Deadline(HEALING_SECONDS);
  let reason = "";
  const healed = await poll(deadline, 5, async () => {
    try {
      await runScript(first, '[ ! -x "$1" ] || exec "$1" settle', [HEALING_SCRIPT], {
        sudo: true,
        timeoutSeconds: deadline.left(10),
        purpose: "healing what a drive has missed",
      });
      return true;
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      reason = reasonOf(error, first.node);
      return undefined;
    }
  });
  if (!healed) throw new HostError(node, `MinIO on ${first.node}: ${reason}; it goes on by itself`);
}
