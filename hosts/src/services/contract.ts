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
export type ConvergedOutputs = ConvergedInputs;

// In which order MinIO's members are changed.

export interface StorageOrderInputs {
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

// When a member of MinIO is changed.

export interface StorageTurnInputs {
  /** The member's node. */
  readonly node: string;
  readonly store: Store;
  /** Changes whenever the member's service does. */
  readonly fingerprint: string;
  /** The fingerprint of what the member was seen to run as last; absent in a preview, and before it ever ran. */
  readonly recorded?: string;
  /** Whether it is changed while the others serve. */
  readonly oneByOne: boolean;
}
export type StorageTurnOutputs = StorageTurnInputs;

// In which order services are changed that stand in for each other.

export interface RollingOrderInputs {
  /** What they are, as messages name them: `registries`. */
  readonly what: string;
  /** Changes whenever anything of one of them does. */
  readonly shape: string;
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
