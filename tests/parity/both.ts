import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import type { TestContext } from "vitest";
import { writeStarter } from "../../toolchain/standIns";
import { checkedArchive } from "../../toolchain/plugins";
import { defaultSetting } from "../../toolchain/setting";
import { archiveName, type PluginPin } from "../../toolchain/versions";
import { without } from "../../lab/plugins/properties";
import { notRun } from "../support/summary";
import { isSecret, Plugin, unknownValue, type Diffed, type Recorded, type Wire } from "./plugin";

/** A backend that stands for the lab's. */
export const backend = `file://${path.join(os.tmpdir(), "the/lab/of/this/test")}`;

/** A published plugin and its stand-in, side by side. */
export interface Both {
  readonly published: Plugin;
  readonly standIn: Plugin;
  stop(): void;
}

const setting = defaultSetting(() => undefined);

/** Why there is no published plugin here; undefined where there is one. */
export function missingArchive(name: string): string | undefined {
  return archiveOf(name) === undefined ? `there is no archive of the plugin ${name}` : undefined;
}

function pinOf(name: string): PluginPin {
  const plugin = setting.pins.plugins.find((one) => one.name === name);
  if (plugin) return plugin;
  throw new Error(`package.json has no plugin ${name}`);
}

function archiveOf(name: string): string | undefined {
  return checkedArchive(setting, archiveName(pinOf(name)));
}

/** Starts both, or says why there is no published one. */
export async function startBoth(
  name: string,
  env: Record<string, string> = {},
): Promise<Both | { missing: string }> {
  const archive = archiveOf(name);
  if (archive === undefined) return { missing: missingArchive(name) ?? "" };
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-parity-"));
  execFileSync("tar", ["-xzf", archive, "-C", folder]);
  const own = { PULUMI_BACKEND_URL: backend, MOORAGE_STAND_INS_FOR: backend, ...env };
  const published = await Plugin.start(path.join(folder, `pulumi-resource-${name}`), env);
  const standIn = await Plugin.start(writeStarter(setting, pinOf(name), path.join(folder, "stand-in")), own);
  const stop = (): void => {
    published.stop();
    standIn.stop();
    fs.rmSync(folder, { recursive: true, force: true });
  };
  return { published, standIn, stop };
}

/** Both plugins, or a test that counts as not run. */
export function orSkip(both: Both | { missing: string }, context: TestContext): Both {
  return "missing" in both ? context.skip(notRun + both.missing) : both;
}

/** Bookkeeping of the published plugins' framework, which they do without where it is missing. */
const bookkeeping = ["__pulumi_raw_state_delta", "__meta", "__defaults"];

/** Makes of values what two runs can agree on. */
type Shape = (value: unknown, key?: string) => unknown;

/** Values that each of the two makes up are their type, and, of a text, its pattern. */
function shaperOf({ type, own }: Pick<Round, "type" | "own">): Shape {
  const counts = (one: unknown): boolean => !type.startsWith("docker:") || !isEmpty(one);
  const shape: Shape = (value, key = "") => {
    if (own.includes(key) && value !== unknownValue && !isSecret(value)) return patternOf(value);
    if (Array.isArray(value)) return sortedObjects(value.map((one) => shape(one)));
    // The engine marks those, too, by what the SDK names.
    if (isSecret(value) && value.value === unknownValue) return unknownValue;
    if (typeof value !== "object" || value === null) return value;
    const entries = Object.entries(value).filter(([name, one]) => !bookkeeping.includes(name) && counts(one));
    const inner = (name: string): string => (name === "value" && isSecret(value) ? key : name);
    return Object.fromEntries(entries.map(([name, one]) => [name, shape(one, inner(name))]));
  };
  return shape;
}

/** The published docker plugin writes down what is empty at one time, and leaves it out at another. */
function isEmpty(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return !value;
  return Object.values(value).every(isEmpty);
}

/** The published docker plugin sorts what has no order by a hash of its own. */
function sortedObjects(list: unknown[]): unknown[] {
  if (!list.every((one) => typeof one === "object")) return list;
  return [...list].sort((one, other) => (JSON.stringify(one) < JSON.stringify(other) ? -1 : 1));
}

function patternOf(value: unknown): unknown {
  if (typeof value !== "string") return typeof value;
  const head = /^-----BEGIN [^-]*-----\n/.exec(value)?.[0];
  if (head) return `${head}… ${value.endsWith("-----\n") ? "with" : "without"} a line's end`;
  if (/^\d{4}-\d\d-\d\dT/.test(value)) return "time";
  return value.replace(/[A-Za-z0-9+/._=-]/g, "x").replace(/x+/g, "x");
}

export interface Round {
  readonly both: Both;
  readonly type: string;
  /** What the program gives. */
  readonly inputs: Wire;
  /** Outputs that each plugin makes up. */
  readonly own: readonly string[];
  /** What the resource is outside of Pulumi. @param id of the resource */
  readonly look?: (id: string) => Promise<unknown>;
  /** Other inputs for a change in place. */
  readonly update?: Wire;
}

/** The same resource, as each of the two made it. */
export interface Pair {
  readonly published: Recorded;
  readonly standIn: Recorded;
}

/** What a plugin answers from the check to the deletion of one resource, and the other plugin on the way. */
async function lifeOf(plugin: Plugin, other: Plugin, round: Round) {
  const { type, inputs, look, update } = round;
  const shapeOf = shaperOf(round);
  const checked = await plugin.check(type, inputs);
  const preview = await plugin.create(type, checked.inputs, true);
  const made = await plugin.create(type, checked.inputs);
  const shape = ({ id, ...read }: Recorded) => ({
    same: id === made.id,
    outputs: shapeOf(read.outputs),
    inputs: shapeOf(read.inputs),
  });
  const read = await plugin.read(type, made);
  const seen = {
    checked: { ...checked, inputs: shapeOf(checked.inputs) },
    preview: shapeOf(preview.outputs),
    made: shapeOf(made.outputs),
    looked: await look?.(made.id),
    read: shape(read),
    unchanged: [
      diffShape(await plugin.diff(type, made, checked.inputs)),
      diffShape(await plugin.diff(type, read, checked.inputs)),
    ],
    readByOther: shape(await other.read(type, made)),
    unchangedByOther: diffShape(
      await other.diff(type, made, (await other.check(type, inputs, made.inputs)).inputs),
    ),
    updated: update && (await updated(update)),
    gone: await gone(),
  };
  return { seen, made };

  async function updated(news: Wire) {
    const wanted = await plugin.check(type, news, made.inputs);
    const planned = await plugin.update(type, made, wanted.inputs, true);
    const done = await plugin.update(type, made, wanted.inputs);
    return {
      planned: shapeOf(planned.outputs),
      done: shapeOf(done.outputs),
      looked: await look?.(made.id),
      diff: diffShape(await plugin.diff(type, done, wanted.inputs)),
    };
  }

  async function gone() {
    await plugin.delete(type, made);
    return look && (await plugin.read(type, made)).id;
  }
}

/** What counts of a diff: places in lists do not, nor does the bookkeeping that some replacements are told by. */
export function diffShape({ detailed, ...diff }: Diffed) {
  // Of maps that are empty the published docker plugin tells a change wherever something else changes.
  const known = (path: string): boolean => !/^__|\.(env|sysctl)$/.test(path);
  const places = [...new Set(Object.keys(detailed).filter(known))].map((path) =>
    path.replace(/\[\d+\].*/, ""),
  );
  const tops =
    places.length > 0 ? places.map((path) => path.replace(/[.[].*/, "")) : diff.diffs.filter(known);
  return {
    ...diff,
    replaces: diff.replaces.length > 0,
    diffs: [...new Set(tops)].sort(),
    detailed: [...new Set(places)].sort(),
    kinds: kindsOf(detailed, known),
  };
}

const lists =
  /\.?(args|commands|tests|constraints|capDrops|configs|secrets|mounts|labels|ports|ipamConfigs|networksAdvanceds)(?![\w.])/;

/** Whether something is added, changed or deleted, as a preview shows it; of lists the stand-ins tell no places. */
function kindsOf(detailed: Diffed["detailed"], known: (path: string) => boolean) {
  const outsideOfLists = ([path]: [string, string]): boolean => known(path) && !lists.test(path);
  return Object.fromEntries(Object.entries(detailed).filter(outsideOfLists));
}

/** What each plans where a value is not known yet, for a new resource and for the one that it made. */
export async function plansWithout(round: Round, pair: Pair, path: readonly string[]) {
  const { both, type } = round;
  const shapeOf = shaperOf(round);
  const plan = async (plugin: Plugin, old: Recorded) => {
    const checked = await plugin.check(type, withUnknown(round.inputs, path) as Wire);
    const again = await plugin.check(type, withUnknown(round.inputs, path) as Wire, old.inputs);
    return {
      checked: { ...checked, inputs: shapeOf(checked.inputs) },
      preview: shapeOf((await plugin.create(type, checked.inputs, true)).outputs),
      diff: diffShape(await plugin.diff(type, old, again.inputs)),
    };
  };
  return {
    published: await plan(both.published, pair.published),
    standIn: await plan(both.standIn, pair.standIn),
  };
}

function withUnknown(value: unknown, [first, ...rest]: readonly string[]): unknown {
  if (first === undefined) return unknownValue;
  if (Array.isArray(value)) return value.map((one) => withUnknown(one, [first, ...rest]));
  const at = (value as Wire)[first];
  return { ...(value as Wire), [first]: withUnknown(at, rest) };
}

/** Both lives of a resource. */
export async function lives(round: Round) {
  const { published, standIn } = round.both;
  const first = await lifeOf(published, standIn, round);
  const second = await lifeOf(standIn, published, round);
  const pair: Pair = { published: first.made, standIn: second.made };
  return { published: first.seen, standIn: second.seen, pair };
}

/** What each says of new inputs for the resource it made, and of those for the one that the other made. */
export async function changesOf(round: Round, pair: Pair, news: Wire) {
  const { both, type } = round;
  const shapeOf = shaperOf(round);
  const diff = async (plugin: Plugin, old: Recorded) => {
    const { inputs, failures } = await plugin.check(type, news, old.inputs);
    if (failures.length > 0) throw new Error(JSON.stringify(failures));
    const found = diffShape(await plugin.diff(type, old, inputs));
    const isInPlace = found.changes === "some" && !found.replaces;
    const planned = isInPlace ? await plugin.update(type, old, inputs, true) : undefined;
    return { ...found, planned: shapeOf(planned?.outputs) };
  };
  /** Without the bookkeeping of its own framework, the published plugin tells the same by fewer paths. */
  const ofOther = async (plugin: Plugin, old: Recorded) => {
    return without(await diff(plugin, old), "detailed", "kinds", "planned");
  };
  return {
    published: await diff(both.published, pair.published),
    standIn: await diff(both.standIn, pair.standIn),
    publishedOfStandIn: await ofOther(both.published, pair.standIn),
    standInOfPublished: await ofOther(both.standIn, pair.published),
  };
}

let number = 0;
/** Inputs of a resource that stands beside others of its kind. */
export const beside = (inputs: Wire): Wire =>
  inputs.name ? { ...inputs, name: `beside-${number++}` } : inputs;

/**
 * What each finds of what it made once somebody has changed that, and what an update makes of it where `look` is given;
 * and how the published plugin records it before and after.
 */
export async function foundAfter(round: Round, change: (id: string) => Promise<void>) {
  const { both, type, inputs, look } = round;
  const shapeOf = shaperOf(round);
  const find = async (plugin: Plugin) => {
    const checked = await plugin.check(type, beside(inputs));
    const made = await plugin.create(type, beside(checked.inputs));
    try {
      await change(made.id);
      const read = await plugin.read(type, made);
      const found = {
        same: read.id === made.id,
        outputs: shapeOf(read.outputs),
        inputs: shapeOf(read.inputs),
        diff: diffShape(await plugin.diff(type, read, made.inputs)),
        mended: look && [
          shapeOf((await updatePast(plugin, type, read, made.inputs)).outputs),
          await look(made.id),
        ],
      };
      return { found, before: made.outputs, after: read.outputs };
    } finally {
      await plugin.delete(type, made);
    }
  };
  const [{ found, ...recorded }, other] = await Promise.all([find(both.published), find(both.standIn)]);
  return { published: found, standIn: other.found, ...recorded };
}

/** An update that the Swarm came before, which writes to a service, too, has changed nothing and is asked for again. */
async function updatePast(plugin: Plugin, ...[type, found, inputs]: Parameters<Plugin["update"]>) {
  for (let left = 5; ; left -= 1) {
    try {
      return await plugin.update(type, found, inputs);
    } catch (error) {
      if (left === 0 || !/update out of sequence/.test(String(error))) throw error;
    }
  }
}

/** What each finds of a resource that somebody has removed. @param remove takes one away by its id */
export async function lost({ both, type, inputs }: Round, remove: (id: string) => Promise<void>) {
  const lose = async (plugin: Plugin) => {
    const made = await plugin.create(type, (await plugin.check(type, inputs)).inputs);
    await remove(made.id);
    return plugin.read(type, made);
  };
  return { published: await lose(both.published), standIn: await lose(both.standIn) };
}

/** What Docker says to each that asks for another resource of a name that is taken. */
export async function refusedNames({ both, type, inputs }: Round) {
  const make = async (plugin: Plugin, own?: Wire) => {
    const checked = await plugin.check(type, inputs);
    return plugin.create(type, { ...checked.inputs, ...own });
  };
  const made = await make(both.published);
  const refusal = async (plugin: Plugin) => {
    const said = await make(plugin, { name: made.outputs.name }).then(() => "nothing", String);
    return /Error response from daemon: .*/.exec(said)?.[0] ?? said;
  };
  try {
    return { published: await refusal(both.published), standIn: await refusal(both.standIn) };
  } finally {
    await both.published.delete(type, made);
  }
}
