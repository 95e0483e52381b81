import * as pulumi from "@pulumi/pulumi";
import type { PreviousHashesInputs } from "@moorage/hosts";
import type { ArgsOf } from "./inputs";
import { providerOf } from "./operation";

/** Remembers the hash of each of the registry's passwords from before its last change. */
export class PreviousHashes extends pulumi.dynamic.Resource {
  /** By user. Secret. */
  declare readonly previous: pulumi.Output<Record<string, string>>;
  /** When each of these is over, by user, in seconds since 1970. */
  declare readonly until: pulumi.Output<Record<string, number>>;

  constructor(name: string, args: ArgsOf<PreviousHashesInputs>, options?: pulumi.CustomResourceOptions) {
    super(
      providerOf("previousHashes"),
      name,
      { ...args, previous: undefined, until: undefined },
      { ...options, additionalSecretOutputs: ["hashes", "previous"] },
      "moorage",
      "PreviousHashes",
    );
  }
}
