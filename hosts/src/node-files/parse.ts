/** What a node's answer says about its files and units. Pure functions. */
import type { ManagedFile } from "@moorage/render";
import type { NodeFilesOutputs, RecordedUnit } from "../contract";
import { ownKeys } from "./keys";
import { dropInPath, unitPath } from "./scripts";

export interface FoundFile {
  readonly mode: number;
  readonly owner: string;
  readonly content: string;
}
export interface FoundUnit {
  readonly enabled: boolean;
  readonly active: "yes" | "no" | "soon" | "failed";
  readonly loaded: boolean;
  /** When it was started last, in microseconds of the host's. */
  readonly since: string;
}
export interface Found {
  readonly files: ReadonlyMap<string, FoundFile>;
  readonly units: ReadonlyMap<string, FoundUnit>;
  /** The node is out of service for a change, by its own note. */
  readonly outOfService: boolean;
}

export function parseFound(output: string): Found {
  const files = new Map<string, FoundFile>();
  const units = new Map<string, FoundUnit>();
  for (const line of output.split("\n")) {
    const file = /^file (.+) ([0-7]+) (\S+) (\S*)$/.exec(line);
    if (file) {
      const [, path = "", mode = "", owner = "", content = ""] = file;
      files.set(path, {
        mode: parseInt(mode, 8),
        owner,
        content: Buffer.from(content, "base64").toString("utf8"),
      });
    }
    const unit = /^unit (\S+) (yes|no) (yes|no|soon|failed) (\S+) (\d+)$/.exec(line);
    if (unit) {
      const [, name = "", enabled, active, load, since = ""] = unit;
      units.set(name, {
        enabled: enabled === "yes",
        active: active as FoundUnit["active"],
        loaded: load === "loaded",
        since,
      });
    }
  }
  return { files, units, outOfService: /^out-of-service$/m.test(output) };
}

/**
 * The recorded part with what is really there in it: missing files are absent, changed ones show their content, and a
 * part that has its node drained for changes shows one that was left so.
 */
export function asFound(state: NodeFilesOutputs, found: Found): NodeFilesOutputs {
  const files = Object.entries(state.files).flatMap(([path, recorded]) => {
    const actual = found.files.get(path);
    return actual ? [[path, foundFile(recorded, actual)] as const] : [];
  });
  const units = Object.entries(state.units).map(
    ([name, recorded]) => [name, foundUnit(name, recorded, found)] as const,
  );
  const outs: { -readonly [Key in keyof NodeFilesOutputs]: NodeFilesOutputs[Key] } = {
    ...state,
    files: Object.fromEntries(files),
    units: Object.fromEntries(units),
  };
  if (found.outOfService && state.cluster !== undefined) outs.outOfService = true;
  else delete outs.outOfService;
  return outs;
}

function foundFile(recorded: ManagedFile, actual: FoundFile): ManagedFile {
  if (recorded.shared) return { ...recorded, content: ownKeys(recorded.content, actual.content) };
  const owner = recorded.owner === undefined && actual.owner === "root:root" ? {} : { owner: actual.owner };
  const agreed = recorded.agreed === undefined ? {} : { agreed: recorded.agreed };
  return { content: actual.content, mode: actual.mode, apply: recorded.apply, ...owner, ...agreed };
}

function foundUnit(name: string, recorded: RecordedUnit, found: Found): RecordedUnit {
  const content = recorded.content === undefined ? undefined : found.files.get(unitPath(name))?.content;
  const dropIns = Object.keys(recorded.dropIns ?? {}).flatMap((dropIn) => {
    const actual = found.files.get(dropInPath(name, dropIn));
    return actual ? [[dropIn, actual.content] as const] : [];
  });
  return {
    ...(content === undefined ? {} : { content }),
    ...(recorded.dropIns === undefined ? {} : { dropIns: Object.fromEntries(dropIns) }),
    ...enablement(recorded, found.units.get(name)),
    ...(recorded.apply === undefined ? {} : { apply: recorded.apply }),
  };
}

/** By what is there alone: what is recorded may itself have been found, and is no word about what is wanted. */
function enablement(recorded: RecordedUnit, actual: FoundUnit | undefined): Pick<RecordedUnit, "enabled"> {
  if (recorded.enabled === undefined) return {};
  const signs = [actual?.enabled === true, actual?.active === "yes" || actual?.active === "soon"];
  if (signs.every(Boolean)) return { enabled: true };
  return { enabled: signs.some(Boolean) ? "partly" : false };
}

export interface Pending {
  readonly daemonReload: boolean;
  readonly reboot: boolean;
  /** Units to restart and to reload, each once; a restart makes a reload needless. */
  readonly restart: readonly string[];
  readonly reload: readonly string[];
  /** The node is still out of service from a change that was cut off. */
  readonly outOfService: boolean;
}

/** What the apply script printed as pending, each action once. */
export function parsePending(output: string): Pending {
  const lines = [...new Set([...output.matchAll(/^pending (.+)$/gm)].map((match) => match[1] ?? ""))];
  const units = (verb: string) =>
    lines.filter((line) => line.startsWith(`${verb} `)).map((line) => line.slice(verb.length + 1));
  const restart = units("restart");
  return {
    daemonReload: lines.includes("daemon-reload"),
    reboot: lines.includes("reboot"),
    restart,
    reload: units("reload").filter((unit) => !restart.includes(unit)),
    outOfService: lines.includes("out-of-service"),
  };
}
