/** Inputs and outputs of what watches over services. */
import type { Connection, Store } from "../contract";

// Waiting for a service: all tasks of this very spec healthy.

export interface ConvergedInputs {
  readonly managers: Connection[];
  /** The service's name. */
  readonly service: string;
  /** Changes whenever the service's spec does. */
  readonly fingerprint: string;
  readonly timeoutSeconds: number;
}
export interface ConvergedOutputs extends ConvergedInputs {
  /** SHA-256 of what Swarm had of the service then, hexadecimal. A refresh empties `fingerprint` where it finds another one. */
  readonly spec?: string;
}

// In which order MinIO's members are changed.

/** What an order has to know to put back one by one what was changed by hand. */
export interface MendedInputs {
  /** Whether an earlier refresh has found one of the services changed by hand, or gone; absent in a preview. */
  readonly mended?: boolean;
  /** As in `TurnInputs`. */
  readonly run?: string;
}

export interface StorageOrderInputs extends MendedInputs {
  /** Storage nodes, in the order of their turns. */
  readonly nodes: Connection[];
  /** Swarm service name by node name. */
  readonly services: Record<string, string>;
  /** Changes whenever anything of a service does. */
  readonly shape: string;
  /** Changes whenever something does that all members have to have in common. */
  readonly common: string;
  readonly image: string;
}
export interface StorageOrderOutputs extends StorageOrderInputs {
  readonly oneByOne: boolean;
}

// When a service is changed.

export interface TurnInputs {
  /** Changes whenever the service's spec does. */
  readonly fingerprint: string;
  /** The fingerprint of what the service was seen to run as last; absent in a preview, and before it ever ran. */
  readonly recorded?: string;
  /** Another one each time the program runs, by which what is asked now is told from what a refresh reads back; none in a preview. */
  readonly run?: string;
}

// A member of MinIO.

export interface StorageTurnInputs extends TurnInputs {
  /** The member's node. */
  readonly node: string;
  readonly store: Store;
  /** Whether it is changed while the others serve. */
  readonly oneByOne: boolean;
}

// What has a task on each node.

export interface ServiceTurnInputs extends TurnInputs {
  readonly managers: Connection[];
  /** The service's name. */
  readonly service: string;
}

// In which order services are changed that stand in for each other.

export interface RollingOrderInputs extends MendedInputs {
  /** What they are, as messages name them: `registries`. */
  readonly what: string;
  /** Changes whenever anything of one of them does. */
  readonly shape: string;
  /** Their names in the Swarm. */
  readonly services: string[];
}
export interface RollingOrderOutputs extends RollingOrderInputs {
  readonly oneByOne: boolean;
}

// Secrets and configs of ours that nothing records and nothing uses.

export interface SweptInputs {
  readonly managers: Connection[];
  /** Label, `key=value`, that all secrets and configs of this stack carry. */
  readonly label: string;
  /** `organization/project/stack`, whose state tells what is recorded. */
  readonly stack: string;
  readonly fingerprint: string;
}
export type SweptOutputs = SweptInputs;
