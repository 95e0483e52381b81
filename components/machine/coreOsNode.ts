import * as pulumi from "@pulumi/pulumi";
import type { Cluster, ImageArchive } from "@moorage/hosts";
import * as render from "@moorage/render";
import {
  baseFiles,
  dataDiskSerials,
  installerSettings,
  networkModel,
  userDataModel,
  usersWithPassword,
} from "../../config/models";
import type { NodeConfig } from "../../config/nodes";
import { formatOf } from "../../config/os";
import type { StackConfig } from "../../config/stack";
import { DataDisk } from "../../providers/dataDisk";
import { Installation } from "../../providers/installation";
import { LoadedImages } from "../../providers/loadedImages";
import type { ArgsOf } from "../../providers/inputs";
import { NodeFilesPart } from "../../providers/nodeFiles";
import { NodeNetwork } from "../../providers/nodeNetwork";
import { stackName } from "../../providers/stack";
import type { CertificateAuthority } from "../pki";
import { fillIn, secretWhereOther, withoutSecrets } from "../placeholders";
import type { ConnectionArgs, Identity, NodeAccess } from "./access";
import type { Guest } from "./guest";
import type { ReinstallationRow } from "./row";

/** Label of every data disk's file system (xfs allows twelve characters). */
const dataLabel = "moorage-data";
/** MinIO's folder on the data disk. It is not there while the disk is not mounted, and MinIO does not start then. */
const driveDirectory = "minio";
const installationTimeoutSeconds = 1800;

export interface CoreOsNodeArgs {
  readonly node: NodeConfig;
  readonly access: NodeAccess;
  /** What has to be there before the host may be touched. */
  readonly after: pulumi.Resource[];
  /** Of the nodes that are reinstalled. */
  readonly row: ReinstallationRow;
  /** Absent on hosts that the program does not install. */
  readonly identity?: Identity;
  /** The guest that the node is, where it is one. */
  readonly guest?: Guest;
  /** The whole stack's: a node knows the others. */
  readonly config: StackConfig;
  /** By user, of those who have a password; secret. */
  readonly passwordHashes: Readonly<Record<string, pulumi.Output<string>>>;
  /** What the node is taken out of while it is changed. */
  readonly cluster: ArgsOf<Cluster>;
  readonly authority: CertificateAuthority;
  /** Images that come from archives, by name. */
  readonly archives: Record<string, ImageArchive>;
}

/** One node: installed where the platform says so, then given its files, units and images over SSH. */
export class CoreOsNode extends pulumi.ComponentResource {
  readonly name: string;
  readonly address: string;
  readonly connection: ConnectionArgs;
  /** Digest of what only an installation can set; absent on hosts that the program does not install. */
  readonly installHash?: pulumi.Output<string>;
  /** What the node is part of. */
  readonly cluster: ArgsOf<Cluster>;
  /** Another one means that nothing is left of what was put on the node. */
  readonly installation?: pulumi.Output<string>;
  /** The host folder that is MinIO's drive where the node has the role storage. */
  readonly drive: string;
  /** What has to exist before anything may run on the node. */
  readonly ready: pulumi.Resource[];

  constructor(name: string, args: CoreOsNodeArgs, options?: pulumi.ComponentResourceOptions) {
    super("moorage:machine:CoreOsNode", name, {}, options);
    this.name = name;
    this.address = args.node.address;
    this.connection = args.access.connection;
    this.drive = args.node.dataDirectory ?? `${args.config.storage.mountPoint}/${driveDirectory}`;

    this.cluster = args.cluster;

    const installed: pulumi.Resource[] = [...args.after];
    this.installHash = installHashOf(name, args);
    if (this.installHash && args.access.installer && args.node.disk) {
      const installation = this.install(modelOf(name, args), args, args.access.installer, args.node.disk);
      this.installation = installation.firstBootId;
      installed.push(installation);
      if (render.networkInPlace(formatOf(args.config.os))) installed.push(this.network(args, installed));
    }
    const disk = this.dataDisk(args, installed);
    const base = new NodeFilesPart(
      `${name}-base`,
      {
        connection: this.connection,
        part: "base",
        cluster: args.cluster,
        installation: this.installation,
        ...filledFiles(name, args),
      },
      // Docker is restarted here: a container started before the data disk is mounted would write beside it.
      { parent: this, dependsOn: disk },
    );
    const images = new LoadedImages(
      `${name}-images`,
      { connection: this.connection, images: args.archives, installation: this.installation },
      // Loading needs a Docker that is not about to be restarted with other settings.
      { parent: this, dependsOn: base },
    );
    this.ready = [images];
    this.registerOutputs({ name, address: this.address, installHash: this.installHash });
  }

  private install(
    model: pulumi.Output<render.UserDataModel>,
    args: CoreOsNodeArgs,
    installer: ConnectionArgs,
    disk: string,
  ): Installation {
    const { os, network } = args.config;
    const format = formatOf(os);
    return new Installation(
      `${this.name}-installation`,
      {
        node: this.name,
        stack: stackName(),
        installer,
        target: this.connection,
        userData: userData(model, this.installHash ?? "", args),
        installHash: this.installHash ?? "",
        // Left out where it is what it always was, so that no stack changes for it.
        ...(format === "cloud-config" ? { format, tryoutSeconds: network.tryoutSeconds } : {}),
        disk,
        channel: os.channel,
        version: os.version,
        ...secretWhereOther(
          installerSettings(args.config, args.node),
          installerSettings(withoutSecrets(args.config), args.node),
        ),
        timeoutSeconds: installationTimeoutSeconds,
        guest: args.guest?.installed,
        cluster: args.cluster,
      },
      // Nothing is touched before every host was looked at, and no node while another one is on its way back.
      { parent: this, dependsOn: args.row.before(this.name, args.after) },
    );
  }

  /** The first network comes with the installation; what changes of it afterwards is tried here. */
  private network({ config, cluster }: CoreOsNodeArgs, installed: pulumi.Resource[]): NodeNetwork {
    return new NodeNetwork(
      `${this.name}-network`,
      {
        connection: this.connection,
        ...render.renderNetwork(networkModel(config, this.name)),
        cluster,
        tryoutSeconds: config.network.tryoutSeconds,
      },
      // The live installer's network is its own, and may have the same address.
      { parent: this, dependsOn: [...installed] },
    );
  }

  private dataDisk(args: CoreOsNodeArgs, installed: pulumi.Resource[]): pulumi.Resource[] {
    if (!args.node.dataDisk) {
      return installed;
    }
    const disk = new DataDisk(
      `${this.name}-data-disk`,
      {
        connection: this.connection,
        stack: stackName(),
        device: args.node.dataDisk,
        ...dataDiskSerials(args.node),
        label: dataLabel,
        mountPoint: args.config.storage.mountPoint,
        directories: [driveDirectory],
        installation: this.installation,
      },
      // The live installer answers at the same address until the installed system is there.
      { parent: this, dependsOn: installed },
    );
    return [disk];
  }
}

type Described = Pick<CoreOsNodeArgs, "access" | "config" | "identity">;

/** Digest of what only an installation can set; absent where the program does not install the node. */
export function installHashOf(
  name: string,
  args: Described & Pick<CoreOsNodeArgs, "node">,
): pulumi.Output<string> | undefined {
  const { access, config, node } = args;
  if (!access.installer || !access.hostKey || !node.disk) return undefined;
  const format = formatOf(config.os);
  return pulumi.unsecret(modelOf(name, args).apply((model) => render.installHashOf(model, format)));
}

/** Without passwords: what only an installation can set does not wait for them to be known. */
function modelOf(name: string, args: Described): pulumi.Output<render.UserDataModel> {
  const { access, config, identity } = args;
  return pulumi
    .all([access.hostKey?.privateKey ?? "", access.hostKey?.publicKey ?? "", identity?.publicKey ?? ""])
    .apply(([privateKey, publicKey, authorizedKey]) =>
      userDataModel(config, name, { hostKey: { privateKey, publicKey }, authorizedKey, passwordHashes: {} }),
    );
}

function userData(
  model: pulumi.Output<render.UserDataModel>,
  installHash: pulumi.Input<string>,
  { config, passwordHashes }: CoreOsNodeArgs,
): pulumi.Output<string> {
  const known = { format: formatOf(config.os), stack: stackName() };
  const text = pulumi
    .all([model, installHash, pulumi.all({ ...passwordHashes })])
    .apply(([plain, digest, hashes]) =>
      render.renderUserData(render.withPasswords(plain, hashes), { ...known, installHash: digest }),
    );
  return pulumi.secret(text);
}

function filledFiles(name: string, args: CoreOsNodeArgs) {
  const { authority, config, node, passwordHashes } = args;
  const values: Record<string, pulumi.Output<string>> = { "@ca@": authority.front.caCertificatePem };
  if (config.swarm.dockerApi) {
    const leaf = authority.dockerApi.issue(name, {
      commonName: name,
      dnsNames: [name, "localhost"],
      ipAddresses: [node.address, "127.0.0.1"],
    });
    values["@docker ca@"] = authority.dockerApi.caCertificatePem;
    values["@certificate@"] = leaf.certificatePem;
    values["@key@"] = leaf.privateKeyPem;
  }
  const placeholders: Record<string, string> = {};
  for (const user of usersWithPassword(config)) {
    placeholders[user] = `@password of ${user}@`;
    values[`@password of ${user}@`] = passwordHashes[user] ?? pulumi.output("");
  }
  const rendered = (of: StackConfig) =>
    baseFiles(of, name, {
      caCertificate: "@ca@",
      api: { ca: "@docker ca@", certificate: "@certificate@", key: "@key@" },
      passwordHashes: placeholders,
    });
  return fillIn(rendered(config), values, rendered(withoutSecrets(config)));
}
