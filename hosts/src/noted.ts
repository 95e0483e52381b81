/** Small JSON files that are left on a host for a later run. */
import type { Connection } from "./contract";
import { brief } from "./ssh/connect";
import { exec, runScript } from "./ssh/exec";

/** The text of the file, or nothing. */
export async function readNoted(connection: Connection, path: string): Promise<string> {
  const { stdout } = await runScript(connection, 'cat "$1" 2>/dev/null || :', [path], {
    sudo: true,
    patience: brief,
    purpose: `reading ${path}`,
  });
  return stdout;
}

const writeScript = `set -e; mkdir -p "$(dirname "$1")"; cat > "$1.new"; chmod 0644 "$1.new"; mv -f "$1.new" "$1"`;

/** Written as a whole or not at all. */
export async function writeNoted(connection: Connection, path: string, value: object): Promise<void> {
  await exec(connection, ["sh", "-c", writeScript, "sh", path], {
    sudo: true,
    stdin: `${JSON.stringify(value)}\n`,
    purpose: `writing ${path}`,
  });
}

export async function removeNoted(connection: Connection, path: string): Promise<void> {
  await exec(connection, ["rm", "-f", path], { sudo: true, purpose: `removing ${path}` });
}
