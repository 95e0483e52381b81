import * as pulumi from "@pulumi/pulumi";
import * as render from "@moorage/render";
import type { StorageConfig } from "../../config/services";
import { NodeFilesPart } from "../../providers/nodeFiles";
import type { CoreOsNode } from "../machine/coreOsNode";
import { fillIn } from "../placeholders";
import type { Swarm } from "../swarm/swarm";
import { rootFiles, storageServiceOf, type ObjectStore } from "./objectStore";

export interface HealingArgs {
  readonly swarm: Swarm;
  readonly healing: StorageConfig["healing"];
  readonly store: ObjectStore;
  /** The storage nodes. */
  readonly nodes: Readonly<Record<string, { readonly machine: CoreOsNode }>>;
}

/**
 * A timer on one storage node that brings to all of MinIO's drives what was written while one was away. Healing needs all
 * nodes, so the first is as good as any, and no two ever heal at once.
 */
export class Healing extends pulumi.ComponentResource {
  /** The timer, by node. */
  readonly units: Readonly<Record<string, NodeFilesPart>>;

  constructor(name: string, args: HealingArgs, options?: pulumi.ComponentResourceOptions) {
    super("moorage:storage:Healing", name, {}, options);
    const [node, own] = Object.entries(args.nodes)[0] ?? [];
    this.units = node && own && args.healing.enabled ? { [node]: this.unit(name, node, own, args) } : {};
    this.registerOutputs({});
  }

  private unit(
    name: string,
    node: string,
    { machine }: { readonly machine: CoreOsNode },
    args: HealingArgs,
  ): NodeFilesPart {
    const rendered = render.healingFiles({
      service: storageServiceOf(node),
      drives: Object.keys(args.nodes).length,
      everySeconds: args.healing.everyHours * 3600,
      ...rootFiles,
    });
    return new NodeFilesPart(
      `${name}-${node}`,
      {
        connection: machine.connection,
        part: "healing",
        installation: machine.installation,
        ...fillIn(rendered, {}),
      },
      // Before MinIO runs on all nodes there is nothing to look at but drives that are missing.
      { parent: this, dependsOn: args.swarm.before(node, args.store.ready) },
    );
  }
}
