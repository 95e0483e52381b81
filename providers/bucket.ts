import * as pulumi from "@pulumi/pulumi";
import type { BucketInputs } from "@moorage/hosts";
import type { ArgsOf } from "./inputs";
import { providerOf } from "./operation";

export { accessKeyOf } from "@moorage/hosts";

/** The registry's bucket, and the user who may touch that bucket only. */
export class Bucket extends pulumi.dynamic.Resource {
  constructor(name: string, args: ArgsOf<BucketInputs>, options?: pulumi.CustomResourceOptions) {
    super(providerOf("bucket"), name, { ...args }, options, "moorage", "Bucket");
  }
}
