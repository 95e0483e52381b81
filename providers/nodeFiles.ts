import * as pulumi from "@pulumi/pulumi";
import type { NodeFilesInputs } from "@moorage/hosts";
import type { ArgsOf } from "./inputs";
import { providerOf } from "./operation";

/** One part of the files and units of a node. */
export class NodeFilesPart extends pulumi.dynamic.Resource {
  constructor(name: string, args: ArgsOf<NodeFilesInputs>, options?: pulumi.CustomResourceOptions) {
    super(providerOf("nodeFiles"), name, { ...args }, options, "moorage", "NodeFilesPart");
  }
}
