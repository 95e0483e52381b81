import * as pulumi from "@pulumi/pulumi";
import type { NodeNetworkInputs } from "@moorage/hosts";
import type { ArgsOf } from "./inputs";
import { providerOf } from "./operation";

/** The network of one node, changed as it runs. */
export class NodeNetwork extends pulumi.dynamic.Resource {
  constructor(name: string, args: ArgsOf<NodeNetworkInputs>, options?: pulumi.CustomResourceOptions) {
    super(providerOf("nodeNetwork"), name, { ...args }, options, "moorage", "NodeNetwork");
  }
}
