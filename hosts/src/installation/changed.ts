/** What of a node's user data is another, by name: contents may be secret. Pure. */
import { parse } from "yaml";
import { equal } from "../diff";
import { INSTALL_MARKER } from "../rendered";

const UNITS = "/etc/systemd/system";
const NETWORK = "/etc/systemd/network";

/** What an earlier user data has put on a node, and a later one does not name. */
export interface Leaving {
  /** Paths on the node, drop-ins and units' files among them. */
  readonly files: readonly string[];
  /** Units that go with their file. */
  readonly units: readonly string[];
  /** What is not taken away: users, who may have files of their own. */
  readonly stays: readonly string[];
  /** What the next one says otherwise, and nothing heeds: coreos-cloudinit gives groups to users whom it makes alone. */
  readonly unheeded: readonly string[];
}

interface Part {
  readonly value: unknown;
  /** Of a user. */
  readonly groups?: readonly string[];
  readonly files?: readonly string[];
  readonly unit?: boolean;
}

type Parts = ReadonlyMap<string, Part>;

interface Named {
  readonly name: string;
}

interface User extends Named {
  readonly groups?: readonly string[];
}

interface Ignition {
  readonly storage?: Readonly<Record<string, readonly { readonly path: string }[] | undefined>>;
  readonly systemd?: { readonly units?: readonly Named[] };
  readonly passwd?: { readonly users?: readonly User[] };
}

interface CloudUnit extends Named {
  readonly content?: string;
  readonly runtime?: boolean;
  readonly drop_ins?: readonly Named[];
}

interface CloudConfig {
  readonly write_files?: readonly { readonly path: string }[];
  readonly users?: readonly User[];
  readonly coreos?: Readonly<Record<string, unknown>> & { readonly units?: readonly CloudUnit[] };
}

/** Names of files, units, users and sections that differ; none where the texts cannot be compared. */
export function changedIn(before: string, after: string): string[] {
  const [old, now] = [partsOf(before), partsOf(after)];
  const names = [...new Set([...old.keys(), ...now.keys()])].filter((name) => name !== INSTALL_MARKER);
  return names.filter((name) => !equal(old.get(name)?.value, now.get(name)?.value)).sort();
}

/** Every path that one of the texts puts on a node and keeps there. */
export function filesIn(...texts: readonly string[]): string[] {
  return [
    ...new Set(texts.flatMap((text) => [...partsOf(text).values()].flatMap(({ files = [] }) => files))),
  ];
}

/** What has to be taken away, and what stays, where `after` is put in the place of `before`. */
export function leavingIn(before: string, after: string): Leaving {
  const [old, now] = [partsOf(before), partsOf(after)];
  const kept = new Set([...now.values()].flatMap(({ files = [] }) => files));
  const gone = [...old].filter(([name]) => !now.has(name));
  return {
    files: [...old.values()].flatMap(({ files = [] }) => files.filter((file) => !kept.has(file))),
    units: gone.filter(([, { unit }]) => unit).map(([name]) => name),
    stays: gone.filter(([name]) => name.startsWith("user ")).map(([name]) => name),
    unheeded: [...now]
      .filter(([name, { groups }]) => old.has(name) && !equal(sorted(groups), sorted(old.get(name)?.groups)))
      .map(([name]) => `groups of ${name}`),
  };
}

const sorted = (names: readonly string[] = []): string[] => [...names].sort();

function partsOf(text: string): Parts {
  const read = (parser: (text: string) => unknown): object | undefined => {
    try {
      const parsed = parser(text);
      return typeof parsed === "object" && parsed !== null ? parsed : undefined;
    } catch {
      return undefined;
    }
  };
  const ignition = read(JSON.parse);
  if (ignition !== undefined) return ignitionParts(ignition);
  return cloudConfigParts(underscored(read(parse) ?? {}) as CloudConfig);
}

function ignitionParts({ storage = {}, systemd, passwd }: Ignition): Parts {
  return new Map<string, Part>([
    ...Object.values(storage).flatMap((list = []) =>
      list.map((each) => [each.path, { value: each, files: [each.path] }] as const),
    ),
    ...(systemd?.units ?? []).map((unit) => [unit.name, { value: unit }] as const),
    // A password is set on the node as it runs, and is no reason to install anything.
    ...(passwd?.users ?? []).map(userPart("passwordHash")),
  ]);
}

function cloudConfigParts({ write_files = [], users = [], coreos = {}, ...rest }: CloudConfig): Parts {
  const { units = [], ...sections } = coreos;
  return new Map<string, Part>([
    ...write_files.map((file) => [file.path, { value: file, files: [file.path] }] as const),
    ...units.map((unit) => [unit.name, unitPart(unit)] as const),
    ...users.map(userPart("passwd")),
    ...Object.entries({ ...sections, ...rest }).map(([name, value]) => [name, { value }] as const),
  ]);
}

const userPart =
  (password: string) =>
  (user: User): readonly [string, Part] => [
    `user ${user.name}`,
    { value: { ...user, [password]: undefined }, groups: user.groups },
  ];

/** Where coreos-cloudinit puts a unit; what it writes below /run is gone with the reboot. */
function unitPart(unit: CloudUnit): Part {
  const { name, content, runtime = false, drop_ins = [] } = unit;
  if (runtime) return { value: unit };
  const isNetwork = /\.(network|netdev|link)$/.test(name);
  const file = content === undefined ? [] : [`${isNetwork ? NETWORK : UNITS}/${name}`];
  const dropIns = drop_ins.map((each) => `${UNITS}/${name}.d/${each.name}`);
  return { value: unit, files: [...file, ...dropIns], unit: file.length > 0 && !isNetwork };
}

/** Container Linux writes its keys with hyphens. */
function underscored(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(underscored);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key.replaceAll("-", "_"), underscored(inner)]),
  );
}
