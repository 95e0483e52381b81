import type { Cidr } from "./model";

export interface NoProxyArgs {
  /** Each with all addresses that others reach it at. */
  readonly nodes: readonly { readonly name: string; readonly addresses: readonly string[] }[];
  /** What members of etcd are reached at, where that may be other addresses. */
  readonly etcdAddresses?: readonly string[];
  /** Domains of the nodes; each node's full name is derived from each. */
  readonly domains?: readonly string[];
  readonly vip?: string;
  /** Names of the registry and its storage, with or without a port. */
  readonly serviceNames: readonly string[];
  readonly subnets: readonly Cidr[];
  /** What the configuration adds (`ProxyModel.exclude`). */
  readonly exclude?: readonly string[];
}

/** What is reached directly, in a stable order and without repetition. */
export function computeNoProxy(args: NoProxyArgs): string[] {
  const domains = args.domains ?? [];
  const names = args.nodes.map((node) => node.name);
  return [
    ...new Set([
      "localhost",
      "127.0.0.1",
      "127.0.0.0/8",
      "::1",
      ...args.nodes.flatMap((node) => node.addresses),
      ...(args.etcdAddresses ?? []),
      ...names,
      ...names.flatMap((name) => domains.map((domain) => `${name}.${domain}`)),
      ...domains.map((domain) => `.${domain}`),
      ...(args.vip === undefined ? [] : [args.vip]),
      ...args.serviceNames.map(withoutPort),
      ...args.subnets,
      ...(args.exclude ?? []),
    ]),
  ];
}

function withoutPort(name: string): string {
  return name.replace(/^(\[[^\]]*\]|[^:]*):\d+$/, "$1");
}
