import * as pulumi from "@pulumi/pulumi";
import { Acceptance } from "./components/acceptance/acceptance";
import { Edge } from "./components/edge/edge";
import { resolveImages } from "./components/images";
import { Fleet } from "./components/machine/fleet";
import { describeNodes, nodesWithRole, sshCommandsOf, storageNodes } from "./components/nodes";
import { CertificateAuthority } from "./components/pki";
import { Registry } from "./components/registry/registry";
import { ObjectStore } from "./components/storage/objectStore";
import { Swarm } from "./components/swarm/swarm";
import { loadConfig, withoutTrace } from "./config";

const config = loadConfig();
const images = withoutTrace(() => resolveImages(config.images));

const authority = new CertificateAuthority("ca", {
  commonName: `Moorage ${pulumi.getStack()}`,
  protect: config.edge.protectAuthority,
});
const fleet = new Fleet("fleet", { config, authority, images });
const swarm = new Swarm("swarm", { nodes: fleet.nodes, network: config.network, swarm: config.swarm });
const store = new ObjectStore("store", {
  swarm,
  storage: config.storage,
  images: images.references,
  nodes: storageNodes(fleet.nodes),
  balancerNodes: Object.keys(nodesWithRole(fleet.nodes, "registry")),
});
const registry = new Registry("registry", {
  swarm,
  registry: config.registry,
  store,
  image: images.references.registry,
  nodes: Object.keys(nodesWithRole(fleet.nodes, "registry")),
});
const edge = new Edge("edge", {
  swarm,
  edge: config.edge,
  network: config.network,
  registry,
  authority,
  images: images.references,
  nodes: nodesWithRole(fleet.nodes, "edge"),
});
const acceptance = new Acceptance("acceptance", {
  swarm,
  edge,
  registry,
  store,
  config: config.edge,
  authority,
  nodes: Object.values(fleet.nodes).map(({ machine }) => machine.connection),
});

export const registryUrl = edge.url;
export const caCertificate = authority.caCertificatePem;
export const username = registry.administrator.name;
export const password = registry.administrator.password;
export const sshPrivateKey = fleet.privateKey;
export const sshCommands = sshCommandsOf(fleet.nodes);
export const nodes = describeNodes(fleet.nodes);
export const vip = config.edge.vip;
export const report = acceptance.report;
