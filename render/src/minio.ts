import { word } from "./text";

export interface MinioArgs {
  /** DNS names of the members, in the order of their names; every member is given the same. */
  readonly names: readonly string[];
  /** @default 9000 */
  readonly port?: number;
  /** Folder of the drive inside the container. @default "/data" */
  readonly drive?: string;
}

/**
 * `minio server` over names given one by one: an ellipsis (`minio{1...4}`) would tie the members to numbered names.
 */
export function minioCommand(args: MinioArgs): string[] {
  const port = args.port ?? 9000;
  const drive = args.drive ?? "/data";
  const drives = args.names.map((name) => `http://${word(name, "MinIO's name")}:${port}${drive}`);
  return ["server", "--address", `:${port}`, ...drives];
}

/**
 * What the container starts in the place of `minio` itself. A node that loses its power while it makes a container
 * starts it afterwards without its secrets (Docker keeps them in memory alone), and MinIO without a user takes its
 * well-known default. Ended, the container is replaced by one that has them.
 */
export function minioStart(args: Pick<MinioEnvironmentArgs, "rootUserFile" | "rootPasswordFile">): string[] {
  const files = [args.rootUserFile, args.rootPasswordFile]
    .map((file) => word(file, "MinIO's secret"))
    .join(" ");
  const check = `for file in ${files}; do [ -s "$file" ] || { echo "$file is not in this container" >&2; exit 1; }; done`;
  return ["/bin/sh", "-c", `${check}; exec "$0" "$@"`, "minio"];
}

export interface MinioEnvironmentArgs {
  readonly rootUserFile: string;
  readonly rootPasswordFile: string;
  readonly region: string;
  /** Drives of four that may be lost without losing data. @default 2 */
  readonly parity?: number;
}

export function minioEnvironment(args: MinioEnvironmentArgs): Record<string, string> {
  return {
    MINIO_ROOT_USER_FILE: args.rootUserFile,
    MINIO_ROOT_PASSWORD_FILE: args.rootPasswordFile,
    MINIO_SITE_REGION: args.region,
    MINIO_STORAGE_CLASS_STANDARD: `EC:${args.parity ?? 2}`,
    MINIO_BROWSER: "off",
    MINIO_CALLHOME_ENABLE: "off",
    MINIO_UPDATE: "off",
    // Ten minutes by default, and while it is set the kernel's own limit counts for nothing.
    MINIO_CONN_USER_TIMEOUT: "0s",
    // A container that is made anew has another address. Members ask for it each half a minute in containers, and would be
    // without that member until then.
    MINIO_DNS_CACHE_TTL: "2s",
  };
}

/**
 * Kernel settings of MinIO's network. A connection whose data nobody has acknowledged for 1.4 s, and one that is not
 * made in 3 s, is given up; without, a member that lost its power would hold up every read for longer than clients wait.
 * A receiver that is slow and says so keeps its connection. For links within a site, not for those of the internet.
 */
export const minioSysctls: Readonly<Record<string, string>> = {
  "net.ipv4.tcp_retries2": "2",
  "net.ipv4.tcp_syn_retries": "1",
};
