import * as pulumi from "@pulumi/pulumi";
import type { SweptInputs } from "@moorage/hosts";
import type { ArgsOf } from "./inputs";
import { providerOf } from "./operation";

/** Removes secrets and configs of this stack that an update left behind when it was cut off. */
export class Swept extends pulumi.dynamic.Resource {
  constructor(name: string, args: ArgsOf<SweptInputs>, options?: pulumi.CustomResourceOptions) {
    super(providerOf("swept"), name, { ...args }, options, "moorage", "Swept");
  }
}
