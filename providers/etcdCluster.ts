import * as pulumi from "@pulumi/pulumi";
import type { EtcdClusterInputs } from "@moorage/hosts";
import type { ArgsOf } from "./inputs";
import { providerOf } from "./operation";

/** etcd's members, formed into a cluster and kept complete; a member that lost its data is replaced. */
export class EtcdCluster extends pulumi.dynamic.Resource {
  declare readonly memberIds: pulumi.Output<Record<string, string>>;

  constructor(name: string, args: ArgsOf<EtcdClusterInputs>, options?: pulumi.CustomResourceOptions) {
    super(
      providerOf("etcdCluster"),
      name,
      { ...args, memberIds: undefined },
      options,
      "moorage",
      "EtcdCluster",
    );
  }
}
