import * as pulumi from "@pulumi/pulumi";
import { type ImageArchive } from "@moorage/hosts";
import * as render from "@moorage/render";
import type { NetworkConfig, OsConfig, SwarmConfig } from "../../config/machine";
import type { NodeConfig } from "../../config/nodes";
import { prefixLength } from "../../config/values";
import { DataDisk } from "../../providers/dataDisk";
import { Installation } from "../../providers/installation";
import { LoadedImages } from "../../providers/loadedImages";
import { NodeFilesPart } from "../../providers/nodeFiles";
import type { CertificateAuthority } from "../pki";
import { fillIn } from "../placeholders";
import type { ConnectionArgs, Identity, NodeAccess } from "./access";
import type { Guest } from "./guest";

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
  /** Absent on hosts that the program does not install. */
  readonly identity?: Identity;
  /** The guest that the node is, where it is one. */
  readonly guest?: Guest;
  readonly os: OsConfig;
  readonly network: NetworkConfig;
  readonly docker: SwarmConfig;
  /** Where the data disk is mounted. */
  readonly mountPoint: string;
  readonly authority: CertificateAuthority;
  /** `host` or `host:port` of the registry, as clients name it. */
  readonly registryNames: string[];
  /** Names and addresses that no proxy is asked for. */
  readonly noProxy: string[];
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
  /** The host folder that is MinIO's drive where the node has the role storage. */
  readonly drive: string;
  /** What has to exist before anything may run on the node. */
  readonly ready: pulumi.Resource[];

  constructor(name: string, args: CoreOsNodeArgs, options?: pulumi.ComponentResourceOptions) {
    super("moorage:machine:CoreOsNode", name, {}, options);
    this.name = name;
    this.address = args.node.address;
    this.connection = args.access.connection;
    this.drive = args.node.dataDirectory ?? `${args.mountPoint}/${driveDirectory}`;

    const installed: pulumi.Resource[] = [...args.after];
    if (args.access.installer && args.access.hostKey && args.node.disk) {
      const model = userDataModel(name, args);
      this.installHash = pulumi.unsecret(model.apply(render.installHashOf));
      installed.push(this.install(model, args, args.access.installer, args.node.disk));
    }
    const disk = this.dataDisk(args, installed);
    const base = new NodeFilesPart(
      `${name}-base`,
      { connection: this.connection, part: "base", ...baseFiles(name, args) },
      // Docker is restarted here: a container started before the data disk is mounted would write beside it.
      { parent: this, dependsOn: disk },
    );
    const images = new LoadedImages(
      `${name}-images`,
      { connection: this.connection, images: args.archives },
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
    return new Installation(
      `${this.name}-installation`,
      {
        node: this.name,
        installer,
        target: this.connection,
        userData: pulumi.secret(
          model.apply((plain) => render.renderIgnition(plain, render.installHashOf(plain))),
        ),
        installHash: this.installHash ?? "",
        disk,
        channel: args.os.channel,
        version: args.os.version,
        proxy: args.os.proxies?.https ?? args.os.proxies?.http,
        timeoutSeconds: installationTimeoutSeconds,
        guest: args.guest?.installed,
      },
      // Nothing is touched before every host was looked at.
      { parent: this, dependsOn: args.after },
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
        device: args.node.dataDisk,
        label: dataLabel,
        mountPoint: args.mountPoint,
        directories: [driveDirectory],
      },
      // The live installer answers at the same address until the installed system is there.
      { parent: this, dependsOn: installed },
    );
    return [disk];
  }
}

function userDataModel(name: string, args: CoreOsNodeArgs): pulumi.Output<render.UserDataModel> {
  const { node, os, network, access, identity } = args;
  return pulumi
    .all([access.hostKey?.privateKey ?? "", access.hostKey?.publicKey ?? "", identity?.publicKey ?? ""])
    .apply(([privateKey, publicKey, authorizedKey]) => ({
      hostname: name,
      distribution: os.distribution,
      users: [
        { name: "core", groups: ["sudo", "docker"], sshAuthorizedKeys: [authorizedKey] },
        ...Object.entries(os.users).map(([user, of]) => ({
          name: user,
          groups: of.groups,
          sshAuthorizedKeys: [authorizedKey, ...of.sshAuthorizedKeys],
        })),
      ],
      hostKey: { privateKey, publicKey },
      network: interfaceOf(node, network),
      timeZone: os.timeZone,
      updateStrategy: os.updateStrategy,
    }));
}

/** A node's first network interface; its live installer has the same address where the program says which. */
export function interfaceOf(node: NodeConfig, network: NetworkConfig): render.InterfaceModel {
  return {
    match: node.interface,
    address: node.address,
    prefixLength: prefixLength(network.subnet),
    gateway: network.gateway,
    dns: network.dns,
    domains: network.domain ? [network.domain] : [],
    mtu: network.mtu,
  };
}

function baseFiles(name: string, args: CoreOsNodeArgs) {
  const values: Record<string, pulumi.Output<string>> = { "@ca@": args.authority.caCertificatePem };
  if (args.docker.dockerApi) {
    const leaf = args.authority.issue(`docker-${name}`, {
      commonName: name,
      dnsNames: [name, "localhost"],
      ipAddresses: [args.node.address, "127.0.0.1"],
    });
    values["@certificate@"] = leaf.certificatePem;
    values["@key@"] = leaf.privateKeyPem;
  }
  const rendered = render.nodeBaseFiles({
    distribution: args.access.hostKey ? args.os.distribution : undefined,
    docker: {
      apiTls: args.docker.dockerApi ? { ca: "@ca@", cert: "@certificate@", key: "@key@" } : undefined,
      logMaxSize: args.docker.logMaxSize,
      logMaxFile: args.docker.logMaxFile,
      noNewPrivileges: true,
    },
    limits: { tasksMax: args.docker.tasksMax },
    registryNames: args.registryNames,
    caCertificate: "@ca@",
    proxies: args.os.proxies,
    noProxy: args.noProxy,
    motd: args.os.motd,
    ntp: args.os.ntp,
  });
  return fillIn(rendered, values);
}
