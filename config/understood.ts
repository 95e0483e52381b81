/** What of a configuration can be made sense of, so that a mistake in one place hides none in another. */
import type { z } from "zod";
import { etcdFields, type EtcdConfig } from "./etcd";
import { hypervisor, type HypervisorConfig } from "./hypervisor";
import {
  network,
  type NetworkConfig,
  platform,
  type PlatformConfig,
  swarm,
  type SwarmConfig,
} from "./machine";
import { node, type GivenNode } from "./nodes";
import { osKeys, type OsConfig } from "./os";
import { edge, images, storage, type EdgeConfig, type ImagesConfig, type StorageConfig } from "./services";

/** Whatever is missing here is missing in the configuration too, or has a mistake of its own. */
export interface Understood {
  readonly platform?: PlatformConfig;
  /** Absent where the configuration says nothing of one. */
  readonly hypervisor?: Partial<HypervisorConfig>;
  readonly nodes: Readonly<Record<string, Partial<GivenNode>>>;
  /** By node, what of it is given, right or wrong. */
  readonly given: Readonly<Record<string, readonly string[]>>;
  readonly os: Partial<OsConfig>;
  /** Which keys of `os` are given, right or wrong. */
  readonly osGiven: readonly string[];
  readonly network: Partial<NetworkConfig>;
  readonly edge: Partial<EdgeConfig>;
  readonly swarm: Partial<SwarmConfig>;
  readonly storage: Partial<StorageConfig>;
  readonly etcd: Partial<EtcdConfig>;
  readonly images: Partial<ImagesConfig>;
  /** Whether there is an image of etcd, right or wrong. */
  readonly etcdImage: boolean;
}

export function understood(raw: Readonly<Record<string, unknown>>): Understood {
  const nodes = Object.entries(plain(raw.nodes));
  return {
    platform: platform.safeParse(raw.platform).data,
    nodes: Object.fromEntries(nodes.map(([name, value]) => [name, fieldsOf(node, value)])),
    given: Object.fromEntries(nodes.map(([name, value]) => [name, Object.keys(plain(value))])),
    os: fieldsOf(osKeys, raw.os),
    osGiven: Object.keys(plain(raw.os)),
    hypervisor: raw.hypervisor === undefined ? undefined : fieldsOf(hypervisor.unwrap(), raw.hypervisor),
    network: fieldsOf(network, raw.network),
    edge: fieldsOf(edge, raw.edge),
    swarm: swarm.safeParse(raw.swarm).data ?? {},
    storage: storage.safeParse(raw.storage).data ?? {},
    etcd: fieldsOf(etcdFields, raw.etcd),
    images: fieldsOf(images, raw.images),
    etcdImage: plain(raw.images).etcd !== undefined,
  };
}

/** Each field that is right by itself, defaults filled in. */
export function fieldsOf<Schema extends z.ZodObject>(
  schema: Schema,
  value: unknown,
): Partial<z.output<Schema>> {
  const given = plain(value);
  const fields = Object.entries(schema.shape as Record<string, z.ZodType>).map(
    ([key, field]) =>
      [key, field.safeParse(Object.hasOwn(given, key) ? given[key] : undefined).data] as const,
  );
  return Object.fromEntries(fields.filter(([, data]) => data !== undefined)) as Partial<z.output<Schema>>;
}

function plain(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {};
}
