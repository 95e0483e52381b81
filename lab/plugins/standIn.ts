import type { Difference } from "./changes";
import type { Properties, Values } from "./properties";

/** What a resource is called, and the provider's settings. */
export interface Context {
  /** The last part of the URN. */
  readonly name: string;
  readonly settings: Values;
}

/** A resource as it is recorded. */
export interface State {
  readonly id: string;
  readonly inputs: Values;
  readonly outputs: Values;
}

/** One type of resource: how it differs from one that is made once from its inputs, and leaves nothing behind. */
export interface ResourceType {
  /** The inputs that the program uses; others are refused. */
  readonly properties: Properties;
  /** What the published plugin records where the program gives nothing. */
  readonly defaults?: Values;
  /** Paths of outputs that a preview does not know yet; where the id is none of them, it is no output. */
  readonly made: readonly string[];
  /** Inputs that are made where the program gives none, such as a name. */
  readonly complete?: (inputs: Values, olds: Values, context: Context) => Values;
  /** Gives the outputs besides the inputs and `defaults`; one of them is the id. */
  readonly create: (inputs: Values, context: Context) => Values | Promise<Values>;
  /** What changes besides the inputs. @param changes those of the inputs */
  readonly diff?: (state: State, inputs: Values, changes: readonly Difference[]) => Difference[];
  /** Whether the old one has to go before there can be another. @default false */
  readonly deleteBeforeReplace?: boolean;
  /** Outputs as the preview of an update shows them. @default as that of a creation */
  readonly planUpdate?: (state: State, inputs: Values) => Values;
  readonly update?: (state: State, inputs: Values, context: Context) => Values | Promise<Values>;
  /** Undefined where there is no such resource any more. */
  readonly read?: (state: State, context: Context) => State | Promise<State | undefined>;
  readonly delete?: (id: string, context: Context) => Promise<void>;
}

/** A plugin in the place of a published one. */
export interface StandIn {
  /** Settings of the provider that are known. */
  readonly settings?: Properties;
  /** Whether the published plugin tells changes by their paths, and not by properties alone. @default false */
  readonly tellsPaths?: boolean;
  readonly types: Readonly<Record<string, ResourceType>>;
}
