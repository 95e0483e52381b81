import * as pulumi from "@pulumi/pulumi";
import type { PreviousHashesInputs } from "@moorage/hosts";
import type { ArgsOf } from "./inputs";
import { providerOf } from "./operation";

/** Remembers the hashes of the registry's passwords from before their last change. */
export class PreviousHashes extends pulumi.dynamic.Resource {
  /** By user. Secret. */
  declare readonly previous: pulumi.Output<Record<string, string>>;
  /** Seconds since 1970; 0 where no password was changed yet. */
  declare readonly until: pulumi.Output<number>;

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
