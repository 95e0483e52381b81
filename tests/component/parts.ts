import { isDeepStrictEqual } from "node:util";
import * as pulumi from "@pulumi/pulumi";
import { Edge } from "../../components/edge/edge";
import { Proxies } from "../../components/edge/proxies";
import type { CoreOsNode } from "../../components/machine/coreOsNode";
import { Fleet } from "../../components/machine/fleet";
import { nodesWithRole, storageNodes } from "../../components/nodes";
import { CertificateAuthority } from "../../components/pki";
import { Registry } from "../../components/registry/registry";
import { RegistryUsers } from "../../components/registry/users";
import { ObjectStore } from "../../components/storage/objectStore";
import { ReinstallationRow } from "../../components/machine/row";
import { Swarm } from "../../components/swarm/swarm";
import { parseStackConfig, type StackConfig } from "../../config/stack";
import { Recorder } from "../support/mocks";
import { machinesStack, type RawConfig } from "../support/stacks";

export type Change = (raw: RawConfig) => void;

/** The lab's configuration for machines after a change, with images that need no archive at hand. */
export function rawConfig(change: Change = () => undefined): RawConfig {
  const raw = structuredClone(machinesStack());
  const image = (name: string, digit: string) => ({ name, digest: `sha256:${digit.repeat(64)}` });
  raw.images = {
    minio: { archive: "absent/minio.tar", imageId: `sha256:${"a".repeat(64)}` },
    registry: image("registry", "b"),
    nginx: image("nginx", "c"),
    haproxy: image("haproxy", "d"),
    keepalived: image("keepalived", "e"),
    etcd: image("etcd", "f"),
  };
  change(raw);
  return raw;
}

export function labConfig(change?: Change): StackConfig {
  return parseStackConfig(rawConfig(change));
}

/** Registers what `build` creates, and waits for all of it. */
export async function recorded(build: () => void): Promise<Recorder> {
  const recorder = await new Recorder().install();
  build();
  return recorder.settled();
}

/** A Swarm of nodes that are there already. */
export interface Standing {
  readonly config: StackConfig;
  readonly nodes: StandingNodes;
  readonly swarm: Swarm;
}

/** Registers what `build` creates on the lab's nodes, those named left out. */
export function onSwarm(
  build: (on: Standing) => void,
  change?: Change,
  ...without: string[]
): Promise<Recorder> {
  return recorded(() => {
    const config = labConfig(change);
    const nodes = standingNodes(config, ...without);
    const row = new ReinstallationRow(Object.keys(nodes), pulumi.output([]));
    build({
      config,
      nodes,
      swarm: new Swarm("swarm", { nodes, network: config.network, swarm: config.swarm, row }),
    });
  });
}

/** Registers the nodes of a configuration, and their Swarm. */
export function machinesOf(config: StackConfig): Promise<Recorder> {
  return recorded(() => {
    const authority = new CertificateAuthority("ca", { commonName: "Moorage test" });
    const fleet = new Fleet("fleet", { config, authority, images: { references, archives } });
    const { nodes, row } = fleet;
    new Swarm("swarm", { nodes, network: config.network, swarm: config.swarm, row });
  });
}

/** Nodes that are there already. */
export type StandingNodes = Record<
  string,
  { readonly config: StackConfig["nodes"][string]; readonly machine: CoreOsNode }
>;

function standingNodes(config: StackConfig, ...without: string[]): StandingNodes {
  const entries = Object.entries(config.nodes).filter(([name]) => !without.includes(name));
  return Object.fromEntries(
    entries.map(([name, node]) => {
      const machine: Pick<CoreOsNode, "name" | "connection" | "cluster" | "drive" | "ready"> = {
        name,
        connection: {
          node: name,
          host: node.address,
          port: 22,
          user: "core",
          hostKey: `ssh-ed25519 ${name}`,
          privateKey: pulumi.secret(`private login of ${name}`),
        },
        cluster: { managers: [] },
        drive: "/var/lib/moorage/data/minio",
        ready: [],
      };
      // Only Fleet reads the rest.
      return [name, { config: node, machine: machine as CoreOsNode }];
    }),
  );
}

export const withRole = (nodes: StandingNodes, role: Parameters<typeof nodesWithRole>[1]): StandingNodes =>
  nodesWithRole(nodes, role) as StandingNodes;

const references = { minio: "m", registry: "r", nginx: "n", haproxy: "h", keepalived: "k" };
export const archives = { minio: { archive: "minio.tar", imageId: "sha256:1" } };

export function storeOf({ config, nodes, swarm }: Standing): ObjectStore {
  return new ObjectStore("store", {
    swarm,
    storage: config.storage,
    image: "image/minio",
    nodes: storageNodes(nodes),
  });
}

export function edgeOf(on: Standing) {
  const { config, nodes, swarm } = on;
  const store = storeOf(on);
  const users = new RegistryUsers("users", config.registry.users);
  const authority = new CertificateAuthority("ca", { commonName: "Moorage test" });
  const proxies = new Proxies("proxies", {
    swarm,
    edge: config.edge,
    users,
    passwordGraceMinutes: config.registry.passwordGraceMinutes,
    issuer: authority.front,
    image: "image/haproxy",
    nodes,
  });
  const registry = new Registry("registry", {
    swarm,
    registry: config.registry,
    store,
    proxies,
    image: "image/registry",
    nodes: Object.keys(withRole(nodes, "registry")),
  });
  const images = { nginx: "image/nginx", keepalived: "image/keepalived" };
  const edge = new Edge("edge", { swarm, edge: config.edge, proxies, registry, images, nodes });
  const { administrator } = users;
  return { store, proxies, registry, administrator, caCertificate: authority.caCertificatePem, edge };
}

/** What tells resources of a stack apart: type, name and parent of each, sorted. */
export function identities(recorder: Recorder): string[] {
  return recorder.resources.map((one) => `${one.type} ${one.name} in ${one.parent}`).sort();
}

/** What one record registers otherwise than another: `+` came, `-` went, `~` has other inputs. */
export function differences(before: Recorder, after: Recorder): string[] {
  const inputsOf = (recorder: Recorder) =>
    new Map(recorder.resources.map((one) => [`${one.type.split(":").at(-1)} ${one.name}`, one.inputs]));
  const [old, fresh] = [inputsOf(before), inputsOf(after)];
  const came = [...fresh.keys()].filter((key) => !old.has(key)).map((key) => `+ ${key}`);
  const went = [...old.keys()].filter((key) => !fresh.has(key)).map((key) => `- ${key}`);
  const changed = [...fresh]
    .filter(([key, inputs]) => old.has(key) && !isDeepStrictEqual(old.get(key), inputs))
    .map(([key]) => `~ ${key}`);
  return [...came, ...went, ...changed].sort();
}
