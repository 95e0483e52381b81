import * as pulumi from "@pulumi/pulumi";
import type { StorageOrderInputs } from "@moorage/hosts";
import type { ArgsOf } from "./inputs";
import { providerOf } from "./operation";

/** Decides whether MinIO's members are changed one by one, or together. */
export class StorageOrder extends pulumi.dynamic.Resource {
  declare readonly oneByOne: pulumi.Output<boolean>;

  constructor(name: string, args: ArgsOf<StorageOrderInputs>, options?: pulumi.CustomResourceOptions) {
    super(
      providerOf("storageOrder"),
      name,
      { ...args, oneByOne: undefined },
      options,
      "moorage",
      "StorageOrder",
    );
  }
}
