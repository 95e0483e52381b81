import * as pulumi from "@pulumi/pulumi";
import type { SwarmMemberInputs } from "@moorage/hosts";
import type { ArgsOf } from "./inputs";
import { providerOf } from "./operation";

/** One node's membership of the Swarm, with its role and labels. */
export class SwarmMember extends pulumi.dynamic.Resource {
  declare readonly nodeId: pulumi.Output<string>;

  constructor(name: string, args: ArgsOf<SwarmMemberInputs>, options?: pulumi.CustomResourceOptions) {
    super(
      providerOf("swarmMember"),
      name,
      { ...args, nodeId: undefined },
      // With autolock, a manager's state holds the key that unlocks the Swarm's own secrets.
      pulumi.mergeOptions({ additionalSecretOutputs: ["unlockKey"] }, options),
      "moorage",
      "SwarmMember",
    );
  }
}
