/** What of a node's user data is another, by name: contents may be secret. Pure. */
import { equal } from "../diff";

/** Holds the digest of all the rest. */
const DIGEST = "/etc/moorage/install.json";

interface Ignition {
  readonly storage?: Readonly<Record<string, readonly { readonly path: string }[] | undefined>>;
  readonly systemd?: { readonly units?: readonly { readonly name: string }[] };
  readonly passwd?: { readonly users?: readonly { readonly name: string; readonly passwordHash?: string }[] };
}

/** Names of files, units and users that differ; none where the texts cannot be compared. */
export function changedIn(before: string, after: string): string[] {
  const [old, now] = [partsOf(before), partsOf(after)];
  const names = [...new Set([...old.keys(), ...now.keys()])].filter((name) => name !== DIGEST);
  return names.filter((name) => !equal(old.get(name), now.get(name))).sort();
}

function partsOf(text: string): ReadonlyMap<string, unknown> {
  const ignition = ignitionOf(text);
  if (ignition === undefined) return entriesOf(text);
  const { storage = {}, systemd, passwd } = ignition;
  return new Map<string, unknown>([
    ...Object.values(storage).flatMap((list = []) => list.map((each) => [each.path, each] as const)),
    ...(systemd?.units ?? []).map((unit) => [unit.name, unit] as const),
    // A password is set on the node as it runs, and is no reason to install anything.
    ...(passwd?.users ?? []).map(
      (user) => [`user ${user.name}`, { ...user, passwordHash: undefined }] as const,
    ),
  ]);
}

function ignitionOf(text: string): Ignition | undefined {
  try {
    return JSON.parse(text) as Ignition;
  } catch {
    return undefined;
  }
}

/** Files of a cloud-config, each with the lines of its entry. */
function entriesOf(text: string): ReadonlyMap<string, unknown> {
  const parts = new Map<string, string[]>();
  let entry: string[] = [];
  for (const line of text.split("\n")) {
    const path = /^\s*-? *path: *"?(\/[^"\s]+)/.exec(line)?.[1];
    if (/^\s*- /.test(line) || /^\S/.test(line)) entry = [];
    entry.push(line);
    if (path !== undefined) parts.set(path, entry);
  }
  return parts;
}
