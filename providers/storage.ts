import * as pulumi from "@pulumi/pulumi";
import type { BucketInputs, StorageUserInputs } from "@moorage/hosts";
import type { ArgsOf } from "./inputs";
import { providerOf } from "./operation";

export { accessKeyOf } from "@moorage/hosts";

/** The registry's bucket, and the policy of those who may touch it. */
export class Bucket extends pulumi.dynamic.Resource {
  constructor(name: string, args: ArgsOf<BucketInputs>, options?: pulumi.CustomResourceOptions) {
    super(providerOf("bucket"), name, { ...args }, options, "moorage", "Bucket");
  }
}

/** A user who may touch that bucket only. Another key replaces it: the user before goes when all registries have the new one. */
export class StorageUser extends pulumi.dynamic.Resource {
  constructor(name: string, args: ArgsOf<StorageUserInputs>, options?: pulumi.CustomResourceOptions) {
    super(providerOf("storageUser"), name, { ...args }, options, "moorage", "StorageUser");
  }
}
