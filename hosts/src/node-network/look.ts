/** What a node's network is at the moment, and how far a change of it is. */
import type { Connection } from "../contract";
import { HostError } from "../errors";
import { note } from "../log";
import { parseFound, type Found } from "../node-files/parse";
import type { Patience } from "../ssh/connect";
import { runScript } from "../ssh/exec";
import { dropConnection } from "../ssh/pool";
import { Deadline, poll } from "../time";
import { BACK_UNIT, CHANGE_FOLDER, lookScript, returnScript, type Change } from "./scripts";

const RETURN_SECONDS = 60;
/** A connection that a change of the network has cut says nothing: it is left for another one. */
const LOOK_SECONDS = 8;

/** `applied`: the node has taken the new files over, and waits for a word that SSH returned. */
export type Progress = "none" | "trying" | "applied" | "returning" | "confirmed";

export interface Looked {
  readonly change: Progress;
  /** What the node's own tools said where they refused the new files. */
  readonly problem: string;
  readonly found: Found;
}

export async function look(
  connection: Connection,
  paths: readonly string[],
  patience?: Patience,
): Promise<Looked> {
  const { stdout } = await runScript(connection, lookScript(paths), [], {
    sudo: true,
    timeoutSeconds: LOOK_SECONDS,
    patience,
    purpose: "reading the network's files",
  });
  const change = (/^change (\w+)$/m.exec(stdout)?.[1] ?? "none") as Progress;
  const problem = [...stdout.matchAll(/^problem (.+)$/gm)].map(([, line]) => line).join("\n");
  return { change, problem, found: parseFound(stdout) };
}

/** Looks, once a change that an earlier run left half way is taken back. */
export async function settleEarlier(connection: Connection, paths: readonly string[]): Promise<Looked> {
  const first = await look(connection, paths);
  if (first.change === "none") return first;
  note(connection.node, "takes back a change of its network that was cut off");
  await runScript(connection, returnScript, [], {
    sudo: true,
    purpose: "taking back a change of the network",
  });
  const settled = await poll(new Deadline(RETURN_SECONDS), 1, async () => {
    dropConnection(connection);
    try {
      const now = await look(connection, paths, {
        attempts: 1,
        timeoutSeconds: 5,
        pauseSeconds: 0,
        forgetful: true,
      });
      return now.change === "none" ? now : undefined;
    } catch (error) {
      // One that is cut off half way is no other than one that could not begin.
      if (!(error instanceof HostError)) throw error;
      return undefined;
    }
  });
  if (settled) return settled;
  throw new HostError(
    connection.node,
    `a change of its network that was cut off is not taken back after ${RETURN_SECONDS} s. ` +
      `See \`journalctl -u ${BACK_UNIT}\` there; ${CHANGE_FOLDER}/former holds the former files`,
  );
}

/** What of a change is still to be made. */
export function leftToChange({ wanted, gone }: Change, { found: { files } }: Looked): Change {
  return {
    wanted: wanted.filter(({ path, content, mode, owner }) => {
      const actual = files.get(path);
      return actual?.content !== content || actual.mode !== mode || actual.owner !== owner;
    }),
    gone: gone.filter((path) => files.has(path)),
  };
}
