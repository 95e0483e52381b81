import * as pulumi from "@pulumi/pulumi";
import type { IsoImageInputs } from "@moorage/hosts";
import type { ArgsOf } from "./inputs";
import { providerOf } from "./operation";

/** The installer's ISO image on the hypervisor: fetched once, checked, reused. */
export class IsoImage extends pulumi.dynamic.Resource {
  declare readonly file: pulumi.Output<string>;
  declare readonly resolvedVersion: pulumi.Output<string>;
  declare readonly fileSha256: pulumi.Output<string>;
  declare readonly checked: pulumi.Output<string[]>;

  constructor(name: string, args: ArgsOf<IsoImageInputs>, options?: pulumi.CustomResourceOptions) {
    const computed = {
      file: undefined,
      resolvedVersion: undefined,
      fileSha256: undefined,
      checked: undefined,
    };
    super(providerOf("isoImage"), name, { ...args, ...computed }, options, "moorage", "IsoImage");
  }
}
