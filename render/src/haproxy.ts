/** HAProxy on a node: the servers that `assets/haproxy/haproxy.cfg` chooses between. */
import { asset } from "./asset";
import { httpHealthTest } from "./health-test";
import { lines, startingAt, word } from "./text";

export interface HaproxyArgs {
  /** DNS names of the registries, in the same order on every node: the order decides which one a repository gets. */
  readonly registries: readonly string[];
  /** DNS names of MinIO's members, in the same order on every node. */
  readonly minio: readonly string[];
  /** The member on this node. It is used while it works: so one that fails costs no other node's registry a request. */
  readonly ownMinio?: string;
}

/** Ports of HAProxy in its container. */
export const haproxyPorts = { nginx: 8000, registry: 9000, health: 8404 } as const;
const registryPort = 5000;
const minioPort = 9000;

/** Seconds in which a member that is back finds the drives of the others (`monitorAndConnectEndpoints` in MinIO). */
const settleSeconds = 30;

/** The configuration's files by name. */
export function haproxyFiles(args: HaproxyArgs): Record<string, string> {
  return { "haproxy.cfg": asset("haproxy/haproxy.cfg"), "servers.cfg": servers(args) };
}

/** The arguments of the image's `haproxy`: a master process, which reloads at SIGUSR2. @param folder of the files */
export function haproxyCommand(folder: string): string[] {
  const files = ["version.cfg", "haproxy.cfg", "servers.cfg"].flatMap((file) => ["-f", `${folder}/${file}`]);
  return ["haproxy", "-W", "-db", ...files];
}

/** Docker's health check, which passes without a registry or a store, too. */
export function haproxyHealthTest(): string[] {
  return httpHealthTest({ port: haproxyPorts.health, path: "/", statuses: [200] });
}

function servers({ registries, minio, ownMinio }: HaproxyArgs): string {
  const own = minio.findIndex((name) => name === ownMinio);
  const ordered = startingAt(minio, Math.max(own, 0));
  const [first, ...others] = ordered;
  const settling = own >= 0 && first !== undefined;
  return [
    backend("registries", [], registries, registryPort),
    backend(
      "minio",
      settling
        ? [
            "balance first",
            "# Another member while this node's has not been up for a while.",
            `acl settled srv_weight(settling/${first}) ge 100`,
            ...others.map((name) => `use-server ${name} unless settled`),
          ]
        : ["balance leastconn"],
      ordered,
      minioPort,
    ),
    ...(settling
      ? [
          lines(
            "# Takes no request: the weight of its server says for how long this node's member has been up.",
            "backend settling from common",
            "    balance roundrobin",
            `    server ${first} 127.0.0.1:1 track minio/${first} weight 100 slowstart ${settleSeconds}s`,
          ),
        ]
      : []),
    backend("minio-unchecked", [], minio, minioPort),
    backend("write-quorum", [], minio, minioPort),
    backend("read-quorum", [], minio, minioPort),
  ].join("\n");
}

function backend(
  name: string,
  directives: readonly string[],
  names: readonly string[],
  port: number,
): string {
  return lines(
    `backend ${name} from for-${name}`,
    ...directives.map((directive) => `    ${directive}`),
    ...names.map((server) => `    server ${word(server, "server's name")} ${server}:${port}`),
  );
}
