import * as pulumi from "@pulumi/pulumi";
import type { StorageTurnInputs } from "@moorage/hosts";
import type { ArgsOf } from "./inputs";
import { providerOf } from "./operation";

/** Waits until MinIO can do without a member that is about to be changed. */
export class StorageTurn extends pulumi.dynamic.Resource {
  constructor(name: string, args: ArgsOf<StorageTurnInputs>, options?: pulumi.CustomResourceOptions) {
    super(providerOf("storageTurn"), name, { ...args }, options, "moorage", "StorageTurn");
  }
}
