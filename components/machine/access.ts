import * as pulumi from "@pulumi/pulumi";
import * as tls from "@pulumi/tls";
import type { Connection } from "@moorage/hosts";
import type { NodeConfig } from "../../config/nodes";
import type { ArgsOf } from "../../providers/inputs";

/** A `Connection` whose parts may still be unknown. */
export type ConnectionArgs = ArgsOf<Connection>;

/**
 * The key pair that hosts the program installs are logged in to with, or the operator's own where the configuration
 * names its public part.
 */
export interface Identity {
  /** OpenSSH's one-line form. */
  readonly publicKey: pulumi.Output<string>;
  /** Secret; absent where the operator's agent or key file is used. */
  readonly privateKey?: pulumi.Output<string>;
}

export interface NodeAccessArgs {
  readonly node: NodeConfig;
  /** Who may log in to a host that the program installs; absent for one that runs already, its keys are its owner's. */
  readonly identity?: Identity;
}

/**
 * How one node is reached over SSH. A host that the program installs gets its host key from here by its user
 * data, so that it is known before it first boots; a host that already runs shows the key the configuration names.
 */
export class NodeAccess extends pulumi.ComponentResource {
  readonly connection: ConnectionArgs;
  /** The live installer, where there is one. */
  readonly installer?: ConnectionArgs;
  readonly hostKey?: {
    readonly privateKey: pulumi.Output<string>;
    readonly publicKey: pulumi.Output<string>;
  };

  constructor(name: string, args: NodeAccessArgs, options?: pulumi.ComponentResourceOptions) {
    super("moorage:machine:NodeAccess", name, {}, options);
    const { node, identity } = args;
    if (identity) {
      const key = new tls.PrivateKey(`${name}-host-key`, { algorithm: "ED25519" }, { parent: this });
      this.hostKey = {
        privateKey: key.privateKeyOpenssh,
        publicKey: key.publicKeyOpenssh.apply((text) => text.trim()),
      };
    }
    this.connection = {
      ...endpoint(name, node, node.ssh),
      user: node.ssh.user ?? "core",
      hostKey: this.hostKey?.publicKey ?? node.ssh.hostKey,
      ...(identity?.privateKey
        ? { privateKey: identity.privateKey }
        : { identityFile: node.ssh.identityFile }),
    };
    if (identity && node.installer) {
      this.installer = {
        ...endpoint(name, node, node.installer),
        user: node.installer.user ?? "core",
        hostKey: node.installer.hostKey,
        identityFile: node.installer.identityFile,
      };
    }
    this.registerOutputs({});
  }
}

function endpoint(name: string, node: NodeConfig, at: { host?: string; port: number }) {
  return { node: name, host: at.host ?? node.address, port: at.port };
}
