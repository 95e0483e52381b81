import * as pulumi from "@pulumi/pulumi";
import * as render from "@moorage/render";
import { NodeFilesPart } from "../../providers/nodeFiles";
import type { CoreOsNode } from "../machine/coreOsNode";
import { fillIn } from "../placeholders";
import type { Swarm } from "../swarm/swarm";
import { minioPort, storageServiceOf, type ObjectStore } from "./objectStore";

export interface StorageGuardArgs {
  readonly swarm: Swarm;
  readonly store: ObjectStore;
  /** The storage nodes. */
  readonly nodes: Readonly<Record<string, { readonly machine: CoreOsNode }>>;
}

/** Keeps a storage node that has fallen silent, or whose drive takes nothing, from holding up the others, by a unit on each. */
export class StorageGuard extends pulumi.ComponentResource {
  /** The unit, by node. */
  readonly units: Readonly<Record<string, NodeFilesPart>>;

  constructor(name: string, args: StorageGuardArgs, options?: pulumi.ComponentResourceOptions) {
    super("moorage:storage:StorageGuard", name, {}, options);
    const nodes = Object.entries(args.nodes);
    this.units = Object.fromEntries(
      nodes.map(([node, { machine }], place) => {
        const rendered = render.storageGuardFiles({
          service: storageServiceOf(node),
          others: nodes.length - 1,
          place,
          port: minioPort,
        });
        const unit = new NodeFilesPart(
          `${name}-${node}`,
          {
            connection: machine.connection,
            part: "storage-guard",
            installation: machine.installation,
            ...fillIn(rendered, {}),
          },
          { parent: this, dependsOn: args.swarm.before(node, args.store.ready) },
        );
        return [node, unit];
      }),
    );
    this.registerOutputs({});
  }
}
