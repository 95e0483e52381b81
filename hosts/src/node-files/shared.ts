/**
 * Files that are their host's owner's too. What the owner had is kept beside such a file from before the first change
 * on, and comes back when the part goes.
 */
import { isDeepStrictEqual } from "node:util";
import type { Connection } from "../contract";
import { HostError } from "../errors";
import { runScript } from "../ssh/exec";
import { keysIn, textOf, withoutOurs, type Keys } from "./keys";
import { parseFound, type FoundFile } from "./parse";
import { KEPT, readScript, type Left, type Placed } from "./scripts";

/** One shared file as it is on the host, and as its owner had it. */
interface Owned {
  readonly actual?: FoundFile;
  readonly kept?: FoundFile;
  readonly current: Keys;
  readonly original: Keys;
}

/** Each shared file with the owner's other keys in it; the others as they are. */
export async function withOwnersKeys(
  connection: Connection,
  wanted: readonly Placed[],
  before: readonly Placed[],
): Promise<Placed[]> {
  const owned = await lookAt(connection, wanted);
  return wanted.map((file) => {
    const there = owned.get(file.path);
    if (!there) return file;
    const { actual, current, original } = there;
    const old = before.find(({ path }) => path === file.path);
    const rest = old ? withoutOurs(keysOf(old), current, original) : current;
    const merged = { ...rest, ...keysOf(file) };
    if (!actual) return { ...file, content: textOf(merged) };
    const content = isDeepStrictEqual(merged, current) ? actual.content : textOf(merged);
    return { ...file, content, mode: actual.mode, owner: actual.owner };
  });
}

/** What becomes of each file that the part no longer has. */
export async function leaving(connection: Connection, gone: readonly Placed[]): Promise<Left[]> {
  const owned = await lookAt(connection, gone);
  return gone.map((file) => {
    const there = owned.get(file.path);
    if (!there) return { file, how: "discard" };
    const { actual, kept, current, original } = there;
    const had = kept !== undefined && kept.content !== "";
    const rest = withoutOurs(keysOf(file), current, original);
    if (had && (!actual || isDeepStrictEqual(rest, original))) return { file, how: "restore" };
    if (!actual || (!had && Object.keys(rest).length === 0)) return { file, how: "discard" };
    const { mode, owner } = actual;
    return { file: { ...file, content: textOf(rest), mode, owner }, how: "place" };
  });
}

const keysOf = (file: Placed): Keys => keysIn(file.content) ?? {};

async function lookAt(connection: Connection, files: readonly Placed[]): Promise<ReadonlyMap<string, Owned>> {
  const paths = files.filter((file) => file.shared).map(({ path }) => path);
  if (paths.length === 0) return new Map();
  const both = paths.flatMap((path) => [path, `${path}${KEPT}`]);
  const { stdout } = await runScript(connection, readScript(both, []), [], {
    sudo: true,
    purpose: "reading the files that are their owner's too",
  });
  const { files: found } = parseFound(stdout);
  const keys = (path: string) => {
    const parsed = keysIn(found.get(path)?.content ?? "");
    if (parsed) return parsed;
    throw new HostError(
      connection.node,
      `${path} is no JSON object, so it is left as it is: mend it there, or remove it`,
    );
  };
  return new Map(
    paths.map((path) => {
      const kept = found.get(`${path}${KEPT}`);
      const current = keys(path);
      const original = kept ? keys(`${path}${KEPT}`) : {};
      return [path, { actual: found.get(path), kept, current, original }];
    }),
  );
}
