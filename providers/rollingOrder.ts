import * as pulumi from "@pulumi/pulumi";
import type { RollingOrderInputs } from "@moorage/hosts";
import type { ArgsOf } from "./inputs";
import { providerOf } from "./operation";

/** Decides whether services that stand in for each other are changed one by one. */
export class RollingOrder extends pulumi.dynamic.Resource {
  declare readonly oneByOne: pulumi.Output<boolean>;

  constructor(name: string, args: ArgsOf<RollingOrderInputs>, options?: pulumi.CustomResourceOptions) {
    super(
      providerOf("rollingOrder"),
      name,
      { ...args, oneByOne: undefined },
      options,
      "moorage",
      "RollingOrder",
    );
  }
}
