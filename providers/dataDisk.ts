import * as pulumi from "@pulumi/pulumi";
import type { DataDiskInputs } from "@moorage/hosts";
import type { ArgsOf } from "./inputs";
import { providerOf } from "./operation";

/** A node's data disk: formatted when blank, mounted by label, marked as the node's; our data are never erased. */
export class DataDisk extends pulumi.dynamic.Resource {
  constructor(name: string, args: ArgsOf<DataDiskInputs>, options?: pulumi.CustomResourceOptions) {
    super(providerOf("dataDisk"), name, { ...args }, options, "moorage", "DataDisk");
  }
}
