/** A node whose Docker or whose whole system goes down takes its member of etcd with it: it must be back before the next. */
import type { Connection } from "../contract";
import { HostError } from "../errors";
import { ETCD_CONTAINER, ETCD_SCRIPT, ETCD_UNIT } from "../rendered";
import { brief } from "../ssh/connect";
import { anyCode, exec, runScript } from "../ssh/exec";
import { Deadline, poll, systemClock } from "../time";

const SECONDS = 60;
const HEALTH = ["timeout", "5", "docker", "exec", ETCD_CONTAINER, "etcdctl", "endpoint", "health"];

/** Whether a member runs here, and serves; not where there is none. */
export async function memberServes(connection: Connection): Promise<boolean> {
  try {
    const { code } = await exec(connection, HEALTH, {
      sudo: true,
      accept: anyCode,
      patience: brief,
      timeoutSeconds: 10,
      purpose: "asking etcd's member for its health",
    });
    return code === 0;
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    return false;
  }
}

/** Whether a member's data lie here, whether it serves or not. */
export async function hasMemberData(connection: Connection): Promise<boolean> {
  const { stdout } = await runScript(connection, `[ ! -e ${ETCD_SCRIPT} ] || sh ${ETCD_SCRIPT} look`, [], {
    sudo: true,
    patience: brief,
    timeoutSeconds: 30,
    purpose: "looking at etcd's member",
  });
  return /^data=(yes|unknown)$/m.test(stdout);
}

export async function awaitMember(connection: Connection, clock = systemClock): Promise<void> {
  const back = await poll(new Deadline(SECONDS, clock), 1, async () =>
    (await memberServes(connection)) ? true : undefined,
  );
  if (back) return;
  throw new HostError(
    connection.node,
    `its member of etcd served before, and does not ${SECONDS} s after Docker's restart; no other node was touched. ` +
      `See \`journalctl -u ${ETCD_UNIT}\` there, and run again`,
  );
}
