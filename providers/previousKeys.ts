import * as pulumi from "@pulumi/pulumi";
import type { PreviousKeysInputs } from "@moorage/hosts";
import type { ArgsOf } from "./inputs";
import { providerOf } from "./operation";

/** Removes the users of the bucket whose keys registries had before, once none has them any more. */
export class PreviousKeys extends pulumi.dynamic.Resource {
  constructor(name: string, args: ArgsOf<PreviousKeysInputs>, options?: pulumi.CustomResourceOptions) {
    super(providerOf("previousKeys"), name, { ...args }, options, "moorage", "PreviousKeys");
  }
}
