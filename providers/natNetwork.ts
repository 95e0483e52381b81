import * as pulumi from "@pulumi/pulumi";
import type { NatNetworkInputs } from "@moorage/hosts";
import type { ArgsOf } from "./inputs";
import { providerOf } from "./operation";

/** A NAT network of VirtualBox with its port forwards. */
export class NatNetwork extends pulumi.dynamic.Resource {
  constructor(name: string, args: ArgsOf<NatNetworkInputs>, options?: pulumi.CustomResourceOptions) {
    super(providerOf("natNetwork"), name, { ...args }, options, "moorage", "NatNetwork");
  }
}
