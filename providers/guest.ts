import * as pulumi from "@pulumi/pulumi";
import type { GuestInputs } from "@moorage/hosts";
import type { ArgsOf } from "./inputs";
import { providerOf } from "./operation";

/** A guest of VirtualBox. Its data disk outlives it. */
export class Guest extends pulumi.dynamic.Resource {
  /** Another one is another machine. */
  declare readonly uuid: pulumi.Output<string>;

  constructor(name: string, args: ArgsOf<GuestInputs>, options?: pulumi.CustomResourceOptions) {
    super(providerOf("guest"), name, { ...args, uuid: undefined }, options, "moorage", "Guest");
  }
}
