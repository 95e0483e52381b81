import * as crypto from "node:crypto";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import * as render from "@moorage/render";
import type { EtcdConfig } from "../../config/etcd";
import { addressesOf, etcdAddressesOf } from "../../config/etcdAddresses";
import type { NodeConfig } from "../../config/nodes";
import { EtcdCluster } from "../../providers/etcdCluster";
import { NodeFilesPart } from "../../providers/nodeFiles";
import type { CoreOsNode } from "../machine/coreOsNode";
import type { Issuer } from "../pki";
import { fillIn } from "../placeholders";

/** Where a member's data lie on a node without a data disk; they go with the system then. */
const systemFolder = "/var/lib/moorage/etcd";
/** The data's folder on a data disk, beside MinIO's; it outlives an installation. */
const diskFolder = "etcd";
/** A member that is replaced copies all data first. */
const timeoutSeconds = 300;

export interface EtcdArgs {
  readonly etcd: EtcdConfig;
  /** The managers, a member each. */
  readonly nodes: Readonly<Record<string, { readonly config: NodeConfig; readonly machine: CoreOsNode }>>;
  /** Of members and of their clients. Nothing else may trust it: etcd's user reads its member's key. */
  readonly issuer: Issuer;
  /** As `docker run` on a node takes it. */
  readonly image: string;
  /** Where data disks are mounted. */
  readonly mountPoint: string;
  /** What has to be there before the member on a node. */
  readonly after: (node: string) => pulumi.Input<pulumi.Resource[]>;
}

/** One member of etcd on every manager, with TLS for clients and between members. */
export class Etcd extends pulumi.ComponentResource {
  /** `https://…` of each member, known once the cluster serves. */
  readonly endpoints: pulumi.Output<string[]>;
  readonly ready: pulumi.Resource[];
  /** By node. */
  readonly members: Readonly<Record<string, NodeFilesPart>>;

  constructor(name: string, args: EtcdArgs, options?: pulumi.ComponentResourceOptions) {
    super("moorage:etcd:Etcd", name, {}, options);
    const token = new random.RandomId(`${name}-token`, { byteLength: 8 }, { parent: this });
    const files = Object.keys(args.nodes).map((node) => [node, filesOf(node, args)] as const);
    this.members = Object.fromEntries(
      files.map(([node, rendered]) => [node, this.member(name, node, args, token, rendered)]),
    );
    const fingerprint = crypto.createHash("sha256").update(JSON.stringify(files)).digest("hex");
    const cluster = this.cluster(name, args, Object.values(this.members), fingerprint);
    const urls = Object.values(args.nodes).map(({ config }) => urlsOf(config, args.etcd).clientUrl);
    this.endpoints = cluster.memberIds.apply(() => urls);
    this.ready = [cluster];
    this.registerOutputs({ endpoints: this.endpoints });
  }

  private member(
    name: string,
    node: string,
    args: EtcdArgs,
    token: random.RandomId,
    rendered: render.NodeFiles,
  ): NodeFilesPart {
    const own = ownOf(node, args);
    const leaf = args.issuer.issue(node, {
      commonName: node,
      dnsNames: [node, "localhost"],
      // All of the node's: those that are advertised may come to be others while members still know the former ones.
      ipAddresses: [...addressesOf(own.config), "127.0.0.1"],
      // Members are each other's clients, and the gateway for HTTP is its own member's.
      usages: ["server_auth", "client_auth"],
    });
    const values = {
      "@token@": pulumi.interpolate`moorage-${token.hex}`,
      "@ca@": args.issuer.caCertificatePem,
      "@certificate@": leaf.certificatePem,
      "@key@": leaf.privateKeyPem,
    };
    return new NodeFilesPart(
      `${name}-${node}`,
      {
        connection: own.machine.connection,
        part: "etcd",
        installation: own.machine.installation,
        ...fillIn(rendered, values),
      },
      // The preflight takes etcd's ports for another's on a node that is in no Swarm yet, so that comes first.
      { parent: this, dependsOn: args.after(node) },
    );
  }

  private cluster(name: string, args: EtcdArgs, parts: NodeFilesPart[], fingerprint: string): EtcdCluster {
    const client = args.issuer.issue("operator", {
      commonName: "moorage-operator",
      usages: ["client_auth"],
    });
    const members = Object.entries(args.nodes).map(([node, { config, machine }]) => [
      node,
      { connection: machine.connection, ...urlsOf(config, args.etcd) },
    ]);
    return new EtcdCluster(
      `${name}-cluster`,
      {
        members: Object.fromEntries(members),
        script: render.etcdScriptPath,
        caCertificate: args.issuer.caCertificatePem,
        clientCertificate: client.certificatePem,
        clientKey: client.privateKeyPem,
        fingerprint,
        ...installationsOf(args),
        timeoutSeconds,
      },
      // No member may be restarted with new settings before all have them, and none runs without its unit.
      { parent: this, dependsOn: parts },
    );
  }
}

/** By node, where the program installs them. */
function installationsOf({ nodes }: EtcdArgs) {
  const installations = Object.entries(nodes).flatMap(([node, { machine }]) =>
    machine.installation ? [[node, machine.installation] as const] : [],
  );
  return installations.length > 0 ? { installations: Object.fromEntries(installations) } : {};
}

function ownOf(node: string, { nodes }: EtcdArgs) {
  const own = nodes[node];
  if (!own) {
    throw new Error(`${node} is no manager`);
  }
  return own;
}

/** A member's files, with placeholders for what is not known yet. */
function filesOf(node: string, args: EtcdArgs): render.NodeFiles {
  const { config } = ownOf(node, args);
  const addresses = etcdAddressesOf(config);
  const { clientPort, peerPort, heartbeatMs, electionMs, quotaMiB, autoCompaction } = args.etcd;
  return render.etcdFiles({
    node,
    image: args.image,
    clientAddress: addresses.client,
    listenClientAddresses: addresses.listenClient,
    peerAddress: addresses.peer,
    listenPeerAddresses: addresses.listenPeer,
    clientPort,
    peerPort,
    token: "@token@",
    ...dataOf(config, args.mountPoint),
    heartbeatMs,
    electionMs,
    quotaMiB,
    compaction: autoCompaction,
    ca: "@ca@",
    certificate: "@certificate@",
    key: "@key@",
  });
}

function urlsOf(config: NodeConfig, { clientPort, peerPort }: EtcdConfig) {
  const { client, peer } = etcdAddressesOf(config);
  return { clientUrl: render.etcdUrl(client, clientPort), peerUrl: render.etcdUrl(peer, peerPort) };
}

function dataOf({ dataDisk }: NodeConfig, mountPoint: string) {
  return dataDisk
    ? { dataFolder: `${mountPoint}/${diskFolder}`, mountPoint }
    : { dataFolder: systemFolder, mountPoint: undefined };
}
