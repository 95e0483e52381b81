import * as pulumi from "@pulumi/pulumi";
import type { ServiceTurnInputs } from "@moorage/hosts";
import type { ArgsOf } from "./inputs";
import { providerOf } from "./operation";

/** Waits until a service with a task on each node can be changed node by node. */
export class ServiceTurn extends pulumi.dynamic.Resource {
  constructor(name: string, args: ArgsOf<ServiceTurnInputs>, options?: pulumi.CustomResourceOptions) {
    super(providerOf("serviceTurn"), name, { ...args }, options, "moorage", "ServiceTurn");
  }
}
