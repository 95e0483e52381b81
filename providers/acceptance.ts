import * as pulumi from "@pulumi/pulumi";
import type { AcceptanceInputs, CheckResult } from "@moorage/hosts";
import type { ArgsOf } from "./inputs";
import { providerOf } from "./operation";

/** The checks that prove what was deployed. */
export class AcceptanceChecks extends pulumi.dynamic.Resource {
  declare readonly report: pulumi.Output<CheckResult[]>;

  constructor(name: string, args: ArgsOf<AcceptanceInputs>, options?: pulumi.CustomResourceOptions) {
    super(
      providerOf("acceptance"),
      name,
      { ...args, report: undefined },
      options,
      "moorage",
      "AcceptanceChecks",
    );
  }
}
