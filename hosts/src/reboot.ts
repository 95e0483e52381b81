/** Reboots, and proof that one happened: the boot id is another. */
import type { Connection } from "./contract";
import { HostError, messageOf } from "./errors";
import { note } from "./log";
import { brief } from "./ssh/connect";
import { exec, runScript } from "./ssh/exec";
import { dropConnection } from "./ssh/pool";
import { Deadline, poll } from "./time";

/** As a shell command. */
export const REBOOT = "systemctl reboot || reboot";

export async function bootId(connection: Connection, patience?: typeof brief): Promise<string> {
  const { stdout } = await exec(connection, ["cat", "/proc/sys/kernel/random/boot_id"], {
    purpose: "reading the boot id",
    timeoutSeconds: 10,
    patience,
  });
  return stdout.trim();
}

/** Starts a reboot that outlives this session. */
export async function startReboot(connection: Connection): Promise<void> {
  const script = `setsid sh -c 'sleep 1; ${REBOOT}' >/dev/null 2>&1 &`;
  await runScript(connection, script, [], { sudo: true, purpose: "starting the reboot" });
}

/** Reboots a host and waits until it answers again with another boot id; returns that. */
export async function rebootAndWait(connection: Connection, timeoutSeconds: number): Promise<string> {
  const before = await bootId(connection);
  note(connection.node, "rebooting");
  await startReboot(connection);
  const deadline = new Deadline(timeoutSeconds);
  let last = "it still answers from before the reboot";
  const after = await poll(deadline, 2, async () => {
    try {
      const id = await bootId(connection, { ...brief, attempts: 1 });
      if (id !== before) return id;
    } catch (error) {
      last = messageOf(error);
      dropConnection(connection);
    }
    return undefined;
  });
  if (after === undefined)
    throw new HostError(
      connection.node,
      `did not come back within ${timeoutSeconds} s of its reboot: ${last}`,
    );
  note(connection.node, `back after ${deadline.elapsed} s`);
  return after;
}
