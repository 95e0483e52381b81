import { isDeepStrictEqual } from "node:util";
import * as pulumi from "@pulumi/pulumi";
import { Edge } from "../../components/edge/edge";
import type { CoreOsNode } from "../../components/machine/coreOsNode";
import type { ConnectionArgs } from "../../components/machine/access";
import { nodesWithRole, storageNodes } from "../../components/nodes";
import { CertificateAuthority } from "../../components/pki";
import { Registry } from "../../components/registry/registry";
import { ObjectStore } from "../../components/storage/objectStore";
import { ReinstallationRow } from "../../components/machine/row";
import { Swarm } from "../../components/swarm/swarm";
import { parseStackConfig, type StackConfig } from "../../config/stack";
import { Recorder } from "../support/mocks";
import { machinesStack, type RawConfig } from "../support/stacks";

/** The lab's configuration for machines after a change, with images that no archive has to be at hand for. */
export function rawConfig(change: (raw: RawConfig) => void = () => undefined): RawConfig {
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

export function labConfig(change?: (raw: RawConfig) => void): StackConfig {
  return parseStackConfig(rawConfig(change));
}

/** Registers what `build` makes, and waits for all of it. */
export async function recorded(build: () => void): Promise<Recorder> {
  const recorder = await new Recorder().install();
  build();
  return recorder.settled();
}

/** Nodes that are there already. */
export type StandingNodes = Record<
  string,
  { readonly config: StackConfig["nodes"][string]; readonly machine: CoreOsNode }
>;

/** The configuration's nodes, those named left out, with nothing registered for them. */
export function standingNodes(config: StackConfig, ...without: string[]): StandingNodes {
  const entries = Object.entries(config.nodes).filter(([name]) => !without.includes(name));
  return Object.fromEntries(
    entries.map(([name, node]) => {
      const machine: Pick<CoreOsNode, "name" | "connection" | "cluster" | "drive" | "ready"> = {
        name,
        connection: connectionTo(name, node.address),
        cluster: { managers: [] },
        drive: "/var/lib/moorage/data/minio",
        ready: [],
      };
      // Only Fleet reads the rest.
      return [name, { config: node, machine: machine as CoreOsNode }];
    }),
  );
}

export function connectionTo(node: string, host: string): ConnectionArgs {
  return {
    node,
    host,
    port: 22,
    user: "core",
    hostKey: `ssh-ed25519 ${node}`,
    privateKey: pulumi.secret(`private login of ${node}`),
  };
}

export function swarmOf(config: StackConfig, nodes: StandingNodes): Swarm {
  const row = new ReinstallationRow(Object.keys(nodes), pulumi.output([]));
  return new Swarm("swarm", { nodes, network: config.network, swarm: config.swarm, row });
}

export const images = {
  minio: "image/minio",
  haproxy: "image/haproxy",
  nginx: "image/nginx",
  keepalived: "image/keepalived",
};

export function storeOf(config: StackConfig, nodes: StandingNodes, swarm: Swarm): ObjectStore {
  return new ObjectStore("store", {
    swarm,
    storage: config.storage,
    images,
    nodes: storageNodes(nodes),
    balancerNodes: Object.keys(nodesWithRole(nodes, "registry")),
  });
}

export function registryOf(
  config: StackConfig,
  nodes: StandingNodes,
  swarm: Swarm,
  store: ObjectStore,
): Registry {
  const names = Object.keys(nodesWithRole(nodes, "registry"));
  return new Registry("registry", {
    swarm,
    registry: config.registry,
    store,
    image: "image/registry",
    nodes: names,
  });
}

export function edgeOf(
  config: StackConfig,
  nodes: StandingNodes,
  swarm: Swarm,
  store: ObjectStore,
  registry: Registry,
) {
  const authority = new CertificateAuthority("ca", { commonName: "Moorage test" });
  const edge = new Edge("edge", {
    swarm,
    edge: config.edge,
    network: config.network,
    registry,
    store,
    authority,
    images,
    nodes: nodesWithRole(nodes, "edge") as StandingNodes,
    all: nodes,
  });
  return { authority, edge };
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
