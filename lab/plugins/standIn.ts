import type { Mistake, Properties } from "./properties";
import type { Values } from "./values";

/** What a resource is called, and the provider's settings. */
export interface Context {
  /** The last part of the URN. */
  readonly name: string;
  readonly settings: Values;
}

/** How a change of inputs is carried out. */
export interface Change {
  /** Properties that change, by their names or paths. */
  readonly diffs: readonly string[];
  /** Those of them that take another resource. */
  readonly replaces: readonly string[];
  /** Kind of change by path, where the published plugin tells it. */
  readonly detailed?: Readonly<Record<string, "add" | "delete" | "update">>;
  readonly deleteBeforeReplace?: boolean;
}

/** A resource as it is recorded. */
export interface State {
  readonly id: string;
  readonly inputs: Values;
  readonly outputs: Values;
}

/** One type of resource. All values are plain: the server takes the marks of secrets off and puts them on. */
export interface ResourceType {
  /** The inputs that the program uses; others are refused. */
  readonly properties: Properties;
  /** Outputs that are secret whatever the inputs are. */
  readonly secretOutputs?: readonly string[];
  /** What is wrong with inputs whose kinds are right. */
  readonly check?: (inputs: Values) => Mistake[];
  /** Inputs that are made where the program gives none, such as a name. */
  readonly complete?: (inputs: Values, olds: Values, context: Context) => Values;
  /** Outputs as a preview shows them. @param state of the resource, where there is one */
  readonly plan: (inputs: Values, state?: State) => Values;
  readonly create: (inputs: Values, context: Context) => Promise<Omit<State, "inputs">>;
  /** @param inputs as {@link complete} made them */
  readonly diff: (state: State, inputs: Values) => Change;
  /** @throws where nothing can be changed without a replacement */
  readonly update?: (state: State, inputs: Values, context: Context) => Promise<Values>;
  /** Undefined where there is no such resource any more. */
  readonly read?: (state: State, context: Context) => Promise<State | undefined>;
  readonly delete?: (state: State, context: Context) => Promise<void>;
}

/** A plugin in the place of a published one. */
export interface StandIn {
  readonly name: string;
  /** Settings of the provider that are known. */
  readonly settings: Properties;
  readonly types: Readonly<Record<string, ResourceType>>;
}

/** Something a user can do something about. */
export class StandInError extends Error {}

/** Names of the inputs that differ, and those of them that replace. */
export function changedInputs(properties: Properties, olds: Values, news: Values): Change {
  const keys = [...new Set([...Object.keys(olds), ...Object.keys(news)])].sort();
  const diffs = keys.filter((key) => key in properties && !same(olds[key], news[key]));
  return { diffs, replaces: diffs.filter((key) => properties[key]?.replaces) };
}

/** Deep equality; the order of keys means nothing. */
export function same(one: unknown, other: unknown): boolean {
  return JSON.stringify(sorted(one)) === JSON.stringify(sorted(other));
}

function sorted(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(sorted);
  const entries = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, sorted(inner)]));
}
