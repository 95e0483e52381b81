/** One resource, once by the published plugin and once by its stand-in. */
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import type { TestContext } from "vitest";
import { without } from "../../../lab/plugins/properties";
import { checkedArchive } from "../../../toolchain/plugins";
import { defaultSetting } from "../../../toolchain/setting";
import { writeStarter } from "../../../toolchain/standIns";
import { archiveName } from "../../../toolchain/versions";
import { notRun } from "../../support/summary";
import { put, type Case } from "./cases";
import { isSecret, Plugin, unknownValue, type Diffed, type Wire } from "./plugin";

/** A published plugin and its stand-in, side by side. */
export interface Both {
  readonly published: Plugin;
  readonly standIn: Plugin;
  stop(): void;
}

/** A backend in which stand-ins work. */
const backend = `file://${path.join(os.tmpdir(), "the/lab/of/this/test")}`;

/** Starts and configures both; undefined if there is no archive of the published plugin. */
export async function startBoth(
  name: string,
  env: Readonly<Record<string, string>> = {},
  settings: Wire = {},
): Promise<Both | undefined> {
  const setting = defaultSetting(() => undefined);
  const pin = setting.pins.plugins.find((one) => one.name === name);
  if (!pin) throw new Error(`package.json has no plugin ${name}`);
  const archive = checkedArchive(setting, archiveName(pin));
  if (archive === undefined) return undefined;
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-parity-"));
  execFileSync("tar", ["-xzf", archive, "-C", folder]);
  const own = { PULUMI_BACKEND_URL: backend, MOORAGE_STAND_INS_FOR: backend, ...env };
  const published = await Plugin.start(path.join(folder, `pulumi-resource-${name}`), env);
  const standIn = await Plugin.start(writeStarter(setting, pin, path.join(folder, "stand-in")), own);
  for (const plugin of [published, standIn]) await plugin.configure(name, settings);
  const stop = (): void => {
    published.stop();
    standIn.stop();
    fs.rmSync(folder, { recursive: true, force: true });
  };
  return { published, standIn, stop };
}

/** Both plugins, or a test that counts as not run. */
export function orSkip(both: Both | undefined, context: TestContext): Both {
  return both ?? context.skip(`${notRun}there are no archives of the published plugins`);
}

/** Results by row: `created`, each changed property, `deleted`. */
export type Rows = Readonly<Record<string, unknown>>;

/** Every row, by each of the two. They share names, so one is deleted before the other is created. */
export async function compared(both: Both, one: Case, look?: (id: string) => Promise<unknown>) {
  const inputs = await one.inputs(both.published);
  const changes: Record<string, Wire> = {};
  for (const [property, value] of Object.entries(one.changes)) {
    changes[property] = put(inputs, property, await valueOf(both.published, value));
  }
  const life = { one, inputs, changes, look };
  return {
    published: await rowsOf(both.published, both.standIn, life),
    standIn: await rowsOf(both.standIn, both.published, life),
  };
}

const valueOf = async (plugin: Plugin, value: unknown): Promise<unknown> =>
  typeof value === "function" ? (value as (plugin: Plugin) => unknown)(plugin) : value;

interface Life {
  readonly one: Case;
  readonly inputs: Wire;
  readonly changes: Readonly<Record<string, Wire>>;
  /** What the resource is outside of Pulumi. */
  readonly look?: (id: string) => Promise<unknown>;
}

/** @param other reads and plans with what `plugin` recorded */
async function rowsOf(plugin: Plugin, other: Plugin, { one, inputs, changes, look }: Life): Promise<Rows> {
  const { type } = one;
  const shape = shaperOf(one);
  const checked = await plugin.check(type, inputs);
  const preview = await plugin.create(type, checked.inputs, true);
  const created = await plugin.create(type, checked.inputs);
  const rows: Record<string, unknown> = {};
  try {
    rows.created = {
      checked: { ...checked, inputs: shape(checked.inputs) },
      preview: shape(preview.outputs),
      outputs: shape(created.outputs),
      looked: await look?.(created.id),
      unchanged: await planOf(plugin, inputs),
      unchangedByOther: await planOf(other, inputs),
      read: await readBy(plugin),
      readByOther: await readBy(other),
      notYetKnown: await notYetKnown(),
    };
    for (const [property, news] of Object.entries(changes)) rows[property] = await changed(news);
  } finally {
    await plugin.delete(type, created);
  }
  rows.deleted = look && (await plugin.read(type, created)).id;
  return rows;

  async function planOf(by: Plugin, news: Wire) {
    const { inputs: wanted, failures } = await by.check(type, news, created.inputs);
    return { failures, ...diffShape(await by.diff(type, created, wanted)) };
  }

  async function readBy(by: Plugin) {
    const { id, ...read } = await by.read(type, created);
    const plan = diffShape(await by.diff(type, { id, ...read }, created.inputs));
    return { same: id === created.id, outputs: shape(read.outputs), inputs: shape(read.inputs), plan };
  }

  async function notYetKnown() {
    const news = (one.unknown ?? []).reduce((before, at) => put(before, at, unknownValue), inputs);
    const wanted = await plugin.check(type, news);
    const planned = await plugin.create(type, wanted.inputs, true);
    return {
      inputs: shape(wanted.inputs),
      planned: shape(planned.outputs),
      plan: await planOf(plugin, news),
    };
  }

  /** The plan of a change and, if it needs no other resource, the result. */
  async function changed(news: Wire) {
    const plan = await planOf(plugin, news);
    // The plans with the other's record name fewer paths.
    const ofOther = without(await planOf(other, news), "detailed", "kinds");
    if (plan.replaces || plan.changes !== "some") return { plan, ofOther };
    const { inputs: wanted } = await plugin.check(type, news, created.inputs);
    const planned = await plugin.update(type, created, wanted, true);
    return { plan, ofOther, planned: shape(planned.outputs), ...(await updated(wanted)) };
  }

  async function updated(wanted: Wire, triesLeft = 5): Promise<object> {
    try {
      const done = await plugin.update(type, created, wanted);
      const plan = diffShape(await plugin.diff(type, done, wanted));
      return { outputs: shape(done.outputs), looked: await look?.(created.id), then: plan };
    } catch (error) {
      const refused = String(error).includes("Error response from daemon");
      if (!refused) throw error;
      // The Swarm writes to a service, too.
      const isLate = triesLeft > 0 && /out of sequence/.test(String(error));
      return isLate ? updated(wanted, triesLeft - 1) : { refused };
    }
  }
}

/** Bookkeeping of the published plugins' framework, which they do not need. */
const bookkeeping = ["__pulumi_raw_state_delta", "__meta", "__defaults"];

/** Replaces what each plugin makes up by its type or, of a text, its pattern. */
function shaperOf({ type, random }: Case) {
  const counts = (one: unknown): boolean => !type.startsWith("docker:") || !isEmpty(one);
  const shape = (value: unknown, key = ""): unknown => {
    if (random.includes(key) && value !== unknownValue && !isSecret(value)) return patternOf(value);
    if (Array.isArray(value)) return sortedObjects(value.map((one) => shape(one)));
    // The engine marks what the SDK names, even if it is not known.
    if (isSecret(value) && value.value === unknownValue) return unknownValue;
    if (typeof value !== "object" || value === null) return value;
    const entries = Object.entries(value).filter(([name, one]) => !bookkeeping.includes(name) && counts(one));
    const inner = (name: string): string => (name === "value" && isSecret(value) ? key : name);
    return Object.fromEntries(entries.map(([name, one]) => [name, shape(one, inner(name))]));
  };
  return shape;
}

/** The published docker plugin sometimes records empty values and sometimes leaves them out. */
function isEmpty(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return !value;
  return Object.values(value).every(isEmpty);
}

/** The published docker plugin sorts sets by a hash of its own. */
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

/** A plan without places in lists and without bookkeeping. */
function diffShape({ detailed, ...diff }: Diffed) {
  // The published docker plugin lists empty maps as changed whenever anything else changes.
  const known = (at: string): boolean => !/^__|\.(env|sysctl)$/.test(at);
  const places = Object.keys(detailed).filter(known);
  const tops = (places.length > 0 ? places : diff.diffs.filter(known)).map((at) => at.replace(/[.[].*/, ""));
  return {
    ...diff,
    replaces: diff.replaces.length > 0,
    diffs: [...new Set(tops)].sort(),
    detailed: [...new Set(places.map((at) => at.replace(/\[\d+\].*/, "")))].sort(),
    // The stand-ins give no places in lists.
    kinds: Object.fromEntries(Object.entries(detailed).filter(([at]) => known(at) && !lists.test(at))),
  };
}

const lists =
  /\.?(args|commands|tests|constraints|capDrops|secrets|mounts|labels|ports|ipamConfigs|networksAdvanceds)(?![\w.])/;
