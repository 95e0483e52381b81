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

/** An SSH host key that the program makes. */
export interface HostKey {
  /** OpenSSH's form (secret). */
  readonly privateKey: pulumi.Output<string>;
  readonly publicKey: pulumi.Output<string>;
}

export interface NodeAccessArgs {
  readonly node: NodeConfig;
  /** Who may log in to a host that the program installs; absent for one that runs already, its keys are its owner's. */
  readonly identity?: Identity;
  /** Where the forwards to guests are; the live installer is then reached as the installed system is. */
  readonly forwards?: string;
}

/**
 * How one node is reached over SSH. A host that the program installs gets its host key from here by its user
 * data, so that it is known before it first boots; a host that already runs shows the key the configuration names.
 */
export class NodeAccess extends pulumi.ComponentResource {
  readonly connection: ConnectionArgs;
  /** The live installer, where there is one. */
  readonly installer?: ConnectionArgs;
  readonly hostKey?: HostKey;
  /** The live installer's, where the program makes it. */
  readonly installerHostKey?: HostKey;

  constructor(name: string, args: NodeAccessArgs, options?: pulumi.ComponentResourceOptions) {
    super("moorage:machine:NodeAccess", name, {}, options);
    const { node, identity } = args;
    const address = args.forwards ?? node.address;
    if (identity) {
      this.hostKey = this.madeKey(`${name}-host-key`);
    }
    this.connection = {
      ...endpoint(name, address, node.ssh),
      user: node.ssh.user ?? "core",
      hostKey: this.hostKey?.publicKey ?? node.ssh.hostKey,
      ...(identity?.privateKey
        ? { privateKey: identity.privateKey }
        : { identityFile: node.ssh.identityFile }),
    };
    if (args.forwards !== undefined) {
      this.installerHostKey = this.madeKey(`${name}-installer-host-key`);
      this.installer = { ...this.connection, user: "core", hostKey: this.installerHostKey.publicKey };
    } else if (identity && node.installer) {
      const { user = "core", hostKey, identityFile } = node.installer;
      // Without a host key of its own the live system is told ours, and who may log in, by what its machine boots.
      if (hostKey === undefined) this.installerHostKey = this.madeKey(`${name}-installer-host-key`);
      const ours = this.installerHostKey && identityFile === undefined && identity.privateKey;
      this.installer = {
        ...endpoint(name, address, node.installer),
        user,
        hostKey: hostKey ?? this.installerHostKey?.publicKey,
        ...(ours ? { privateKey: ours } : { identityFile }),
      };
    }
    this.registerOutputs({});
  }

  private madeKey(name: string): HostKey {
    const key = new tls.PrivateKey(name, { algorithm: "ED25519" }, { parent: this });
    return {
      privateKey: key.privateKeyOpenssh,
      publicKey: key.publicKeyOpenssh.apply((text) => text.trim()),
    };
  }
}

function endpoint(node: string, address: string, at: { host?: string; port: number }) {
  return { node, host: at.host ?? address, port: at.port };
}
