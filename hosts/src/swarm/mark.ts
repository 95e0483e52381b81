/** The mark that a member of our Swarm leaves on its host, so that preflight can tell it from a stranger. */
import type { Connection } from "../contract";
import { parseMark } from "../preflight/parse";
import type { Mark } from "../preflight/parse";
import { SWARM_MARK } from "../preflight/script";
import { brief } from "../ssh/connect";
import { exec, runScript } from "../ssh/exec";

export async function readMark(connection: Connection): Promise<Mark> {
  const { stdout } = await runScript(connection, `cat ${SWARM_MARK} 2>/dev/null || :`, [], {
    sudo: true,
    patience: brief,
    purpose: `reading ${SWARM_MARK}`,
  });
  return parseMark(stdout);
}

const writeScript = `set -e; mkdir -p "$(dirname "$1")"; cat > "$1.new"; chmod 0644 "$1.new"; mv -f "$1.new" "$1"`;

/** Written before a node joins and after: an interruption in between leaves a member that is known to be ours. */
export async function writeMark(connection: Connection, mark: Mark): Promise<void> {
  await exec(connection, ["sh", "-c", writeScript, "sh", SWARM_MARK], {
    sudo: true,
    stdin: `${JSON.stringify(mark)}\n`,
    purpose: `writing ${SWARM_MARK}`,
  });
}

export async function removeMark(connection: Connection): Promise<void> {
  await exec(connection, ["rm", "-f", SWARM_MARK], { sudo: true, purpose: `removing ${SWARM_MARK}` });
}
