import * as pulumi from "@pulumi/pulumi";
import { Acceptance } from "./components/acceptance/acceptance";
import { Edge } from "./components/edge/edge";
import { Proxies } from "./components/edge/proxies";
import { Etcd } from "./components/etcd/etcd";
import { imageProblems, resolveImages } from "./components/images";
import { Fleet } from "./components/machine/fleet";
import { reachedThrough } from "./components/machine/virtualBoxNetwork";
import { describeNodes, nodesWithRole, sshCommandsOf, storageNodes } from "./components/nodes";
import { CertificateAuthority } from "./components/pki";
import { Registry } from "./components/registry/registry";
import { RegistryUsers } from "./components/registry/users";
import { Healing } from "./components/storage/healing";
import { ObjectStore } from "./components/storage/objectStore";
import { Swarm } from "./components/swarm/swarm";
import { mapTracesOfErrorsAlone } from "./components/traces";
import { loadConfig, withoutTrace } from "./config";

mapTracesOfErrorsAlone();

const config = loadConfig(imageProblems);
const images = withoutTrace(() => resolveImages(config.images));

const authority = new CertificateAuthority("ca", {
  commonName: `Moorage ${pulumi.getStack()}`,
  protect: config.edge.protectAuthority,
});
const fleet = new Fleet("fleet", { config, authority, images });
const swarm = new Swarm("swarm", {
  nodes: fleet.nodes,
  network: config.network,
  swarm: config.swarm,
  row: fleet.row,
});
const etcd = config.etcd.enabled
  ? new Etcd("etcd", {
      etcd: config.etcd,
      nodes: nodesWithRole(fleet.nodes, "manager"),
      issuer: authority.etcd,
      image: images.references.etcd ?? "",
      mountPoint: config.storage.mountPoint,
      after: (node) => swarm.before(node, swarm.ready),
    })
  : undefined;
const store = new ObjectStore("store", {
  swarm,
  storage: config.storage,
  image: images.references.minio,
  nodes: storageNodes(fleet.nodes),
});
const healing = new Healing("healing", {
  swarm,
  healing: config.storage.healing,
  store,
  nodes: nodesWithRole(fleet.nodes, "storage"),
});
const users = new RegistryUsers("users", config.registry.users);
const proxies = new Proxies("proxies", {
  swarm,
  edge: reachedThrough(config),
  users,
  passwordGraceMinutes: config.registry.passwordGraceMinutes,
  issuer: authority.front,
  image: images.references.haproxy,
  nodes: fleet.nodes,
});
const registry = new Registry("registry", {
  swarm,
  registry: config.registry,
  store,
  proxies,
  image: images.references.registry,
  nodes: Object.keys(nodesWithRole(fleet.nodes, "registry")),
});
const edge = new Edge("edge", {
  swarm,
  edge: reachedThrough(config),
  proxies,
  registry,
  images: images.references,
  nodes: fleet.nodes,
});
for (const [node, { machine }] of Object.entries(fleet.nodes)) {
  const parts = [
    swarm.members[node],
    etcd?.members[node],
    healing.units[node],
    proxies.files[node],
    edge.addresses[node],
  ];
  fleet.row.consistsOf(node, { ready: machine.ready, back: parts.filter((part) => part !== undefined) });
}
const acceptance = new Acceptance("acceptance", {
  swarm,
  edge,
  proxies,
  registry,
  administrator: users.administrator,
  store,
  config: config.edge,
  caCertificate: authority.caCertificatePem,
  nodes: Object.values(fleet.nodes).map(({ machine }) => machine.connection),
});

/** The stack's outputs. An output without a value would draw a warning on every update. */
export = {
  registryUrl: edge.url,
  caCertificate: authority.caCertificatePem,
  ...(config.swarm.dockerApi && { dockerCaCertificate: authority.dockerApi.caCertificatePem }),
  username: users.administrator.name,
  password: users.administrator.password,
  passwords: users.passwords,
  ...(fleet.privateKey && { sshPrivateKey: fleet.privateKey }),
  ...(Object.keys(fleet.passwords).length > 0 && { consolePasswords: fleet.passwords }),
  sshCommands: sshCommandsOf(fleet.nodes),
  nodes: describeNodes(fleet.nodes),
  vip: config.edge.vip,
  ...(etcd && { etcdEndpoints: etcd.endpoints, etcdCaCertificate: authority.etcd.caCertificatePem }),
  report: acceptance.report,
};
