/** Inputs and outputs of what watches over services. */
import type { Connection } from "../contract";

// Waiting for a service: all tasks of this very spec healthy.

export interface ConvergedInputs {
  readonly managers: Connection[];
  /** The service's name. */
  readonly service: string;
  /** Changes whenever the service's spec does. */
  readonly fingerprint: string;
  readonly timeoutSeconds: number;
  /** What a change of the service interrupts, for a preview to say. A change of it alone means nothing. */
  readonly interrupts?: string;
}
export interface ConvergedOutputs extends ConvergedInputs {
  /** SHA-256 of what Swarm had of the service then, hexadecimal. A refresh empties `fingerprint` where it finds another one. */
  readonly spec?: string;
}

// Secrets of ours that nothing records and nothing uses.

export interface SweptInputs {
  readonly managers: Connection[];
  /** Label, `key=value`, that all secrets of this stack carry. */
  readonly label: string;
  /** `organization/project/stack`, whose state tells what is recorded. */
  readonly stack: string;
  readonly fingerprint: string;
}
export type SweptOutputs = SweptInputs;
