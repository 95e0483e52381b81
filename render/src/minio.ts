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
  };
}
