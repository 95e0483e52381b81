import * as pulumi from "@pulumi/pulumi";
import * as render from "@moorage/render";
import { NodeFilesPart } from "../../providers/nodeFiles";
import type { CoreOsNode } from "../machine/coreOsNode";
import { fillIn } from "../placeholders";
import type { Swarm } from "./swarm";

export interface SwarmGuardArgs {
  readonly swarm: Swarm;
  /** The managers. */
  readonly nodes: Readonly<Record<string, { readonly machine: CoreOsNode }>>;
}

/** Has a node register anew that the Swarm counts as down though it is connected, by a unit on each manager. */
export class SwarmGuard extends pulumi.ComponentResource {
  /** The unit, by node. */
  readonly units: Readonly<Record<string, NodeFilesPart>>;

  constructor(name: string, args: SwarmGuardArgs, options?: pulumi.ComponentResourceOptions) {
    super("moorage:swarm:SwarmGuard", name, {}, options);
    const { swarm, nodes } = args;
    this.units = Object.fromEntries(
      Object.entries(nodes).map(([node, { machine }]) => {
        const unit = new NodeFilesPart(
          `${name}-${node}`,
          {
            connection: machine.connection,
            part: "swarm-guard",
            installation: machine.installation,
            ...fillIn(render.swarmGuardFiles(), {}),
          },
          { parent: this, dependsOn: swarm.before(node, swarm.ready) },
        );
        return [node, unit];
      }),
    );
    this.registerOutputs({});
  }
}
