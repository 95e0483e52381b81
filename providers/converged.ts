import * as pulumi from "@pulumi/pulumi";
import type { ConvergedInputs } from "@moorage/hosts";
import type { ArgsOf } from "./inputs";
import { providerOf } from "./operation";

/** Waits until all tasks of a service run its newest spec, and fails with the task's error if they do not. */
export class Converged extends pulumi.dynamic.Resource {
  constructor(name: string, args: ArgsOf<ConvergedInputs>, options?: pulumi.CustomResourceOptions) {
    super(providerOf("converged"), name, { ...args }, options, "moorage", "Converged");
  }
}
