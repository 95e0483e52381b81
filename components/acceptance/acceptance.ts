import * as pulumi from "@pulumi/pulumi";
import type { CheckResult } from "@moorage/hosts";
import type { EdgeConfig } from "../../config/services";
import { AcceptanceChecks } from "../../providers/acceptance";
import { stackReference } from "../../providers/stack";
import { Swept } from "../../providers/swept";
import type { Edge } from "../edge/edge";
import type { Proxies } from "../edge/proxies";
import type { ConnectionArgs } from "../machine/access";
import type { Registry } from "../registry/registry";
import type { RegistryUser } from "../registry/users";
import type { ObjectStore } from "../storage/objectStore";
import { labelText } from "../swarm/label";
import type { Swarm } from "../swarm/swarm";

const timeoutSeconds = 180;

export interface AcceptanceArgs {
  readonly swarm: Swarm;
  readonly edge: Edge;
  readonly proxies: Proxies;
  readonly registry: Registry;
  /** The user who may write everything. */
  readonly administrator: RegistryUser;
  readonly store: ObjectStore;
  readonly config: EdgeConfig;
  readonly caCertificate: pulumi.Input<string>;
  /** Every node, to reach the registry from. */
  readonly nodes: ConnectionArgs[];
}

/** The proof of the whole: a push and a pull by digest, rights, certificate and quorum; then leftovers swept. */
export class Acceptance extends pulumi.ComponentResource {
  readonly report: pulumi.Output<CheckResult[]>;

  constructor(name: string, args: AcceptanceArgs, options?: pulumi.ComponentResourceOptions) {
    super("moorage:acceptance:Acceptance", name, {}, options);
    const { administrator, store, proxies, registry, edge } = args;
    const fingerprint = pulumi
      .all([store.fingerprint, proxies.fingerprint, registry.fingerprint, edge.fingerprint])
      .apply((all) => all.join(" "));
    const checks = new AcceptanceChecks(
      `${name}-checks`,
      {
        fingerprint,
        managers: args.swarm.managers,
        nodes: args.nodes,
        edgeNodes: Object.keys(args.edge.addresses),
        registryAddress: args.config.vip,
        registryPort: args.config.port,
        registryName: args.config.hostname ?? args.config.vip,
        caCertificate: args.caCertificate,
        username: administrator.name,
        password: administrator.password,
        repository: "moorage/acceptance",
        storageServices: args.store.services,
        timeoutSeconds,
      },
      // Everything has to stand before it can be tried.
      { parent: this, dependsOn: [...args.edge.ready, ...args.store.ready] },
    );
    new Swept(
      `${name}-sweep`,
      { managers: args.swarm.managers, label: labelText(), stack: stackReference(), fingerprint },
      // What an update replaced is in use until the new tasks run.
      { parent: this, dependsOn: checks },
    );
    this.report = checks.report;
    this.registerOutputs({ report: this.report });
  }
}
