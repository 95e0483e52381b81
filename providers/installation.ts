import * as pulumi from "@pulumi/pulumi";
import type { InstallationInputs } from "@moorage/hosts";
import type { ArgsOf } from "./inputs";
import { providerOf } from "./operation";

/** The operating system of one node, installed from its live installer. */
export class Installation extends pulumi.dynamic.Resource {
  declare readonly firstBootId: pulumi.Output<string>;

  constructor(name: string, args: ArgsOf<InstallationInputs>, options?: pulumi.CustomResourceOptions) {
    super(
      providerOf("installation"),
      name,
      { ...args, firstBootId: undefined },
      options,
      "moorage",
      "Installation",
    );
  }
}
