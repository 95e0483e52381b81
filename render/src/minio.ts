import { asset } from "./asset";
import { word } from "./text";

export interface MinioArgs {
  /** DNS names of the members, in the order of their names; every member is given the same. */
  readonly names: readonly string[];
  /** The scripts of `assets/minio` have the same. @default 9000 */
  readonly port?: number;
  /** Folder of the drive inside the container. The scripts have the same. @default "/data" */
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

/** The container's command, in place of `minio` itself: it reads the secrets' paths from MinIO's own environment. */
export function minioStart(): string[] {
  return ["/bin/sh", "-c", asset("minio/start.sh"), "minio"];
}

/** Docker's health check: MinIO answers, and its drive is not read-only. */
export function minioHealthTest(): string[] {
  return ["CMD", "/bin/sh", "-c", asset("minio/health.sh")];
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
    // Distribution leaves uploads behind, and MinIO ignores lifecycle rules for them.
    MINIO_API_STALE_UPLOADS_EXPIRY: "24h",
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
