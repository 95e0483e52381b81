import * as pulumi from "@pulumi/pulumi";
import type { PreflightInputs } from "@moorage/hosts";
import type { ArgsOf } from "./inputs";
import { providerOf } from "./operation";

/** All hosts looked at before anything is touched; a red one stops the update there. */
export class Preflight extends pulumi.dynamic.Resource {
  declare readonly findings: pulumi.Output<Record<string, string>>;
  /** Nodes that are reinstalled one after the other. */
  declare readonly row: pulumi.Output<string[] | undefined>;

  constructor(name: string, args: ArgsOf<PreflightInputs>, options?: pulumi.CustomResourceOptions) {
    super(
      providerOf("preflight"),
      name,
      { ...args, findings: undefined, row: undefined },
      options,
      "moorage",
      "Preflight",
    );
  }
}
