import * as pulumi from "@pulumi/pulumi";
import type { LoadedImagesInputs } from "@moorage/hosts";
import type { ArgsOf } from "./inputs";
import { providerOf } from "./operation";

/** Images loaded on a node from archives. */
export class LoadedImages extends pulumi.dynamic.Resource {
  constructor(name: string, args: ArgsOf<LoadedImagesInputs>, options?: pulumi.CustomResourceOptions) {
    super(providerOf("loadedImages"), name, { ...args }, options, "moorage", "LoadedImages");
  }
}
