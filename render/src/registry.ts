import { httpHealthTest } from "./health-test";
import { word } from "./text";

export interface RegistryConfigArgs {
  readonly bucket: string;
  /** The S3 balancer on the registry's own node, such as `http://s3-coreos1:9000`. */
  readonly endpoint: string;
  readonly region: string;
  /** Secret. */
  readonly accessKey: string;
  /** Secret. */
  readonly secretKey: string;
  /** Secret, the same on every replica: an upload begun on one goes on at another. */
  readonly httpSecret: string;
  /** @default 5000 */
  readonly port?: number;
  /** At "info" each request is a line, which costs Docker's daemon time. @default "warn" */
  readonly logLevel?: "error" | "warn" | "info" | "debug";
  /**
   * MiB of one part of a multipart upload. Each upload in progress holds up to two parts in memory, and a layer has at
   * most 10,000 parts: 32 MiB allow layers of 312 GiB, for 64 MiB of memory an upload.
   * @default 32
   */
  readonly chunkMebibytes?: number;
  /** Uploads and deletions are refused; garbage collection needs it. @default false */
  readonly readOnly?: boolean;
}

/**
 * The configuration of CNCF Distribution 3.1. It holds the keys, since the registry takes them from this file or from
 * the environment only: its place is a secret mounted as /etc/distribution/config.yml.
 */
export function renderRegistryConfig(args: RegistryConfigArgs): string {
  const chunk = (args.chunkMebibytes ?? 32) * 1024 * 1024;
  return `version: 0.1
log:
  level: ${args.logLevel ?? "warn"}
  formatter: json
  # The front logs every request, with its user.
  accesslog:
    disabled: true
storage:
  s3:
    region: ${quoted(args.region)}
    regionendpoint: ${quoted(word(args.endpoint, "S3 endpoint"))}
    secure: ${args.endpoint.startsWith("https://")}
    forcepathstyle: true
    bucket: ${quoted(args.bucket)}
    accesskey: ${quoted(args.accessKey)}
    secretkey: ${quoted(args.secretKey)}
    chunksize: ${chunk}
    multipartcopychunksize: ${chunk}
    # The end of an upload copies the layer inside the store; the default of 100 copies at once starves all else.
    multipartcopymaxconcurrency: 8
    multipartcopythresholdsize: ${chunk}
  redirect:
    disable: true
  delete:
    enabled: true
  cache:
    blobdescriptor: inmemory
    blobdescriptorsize: 10000
  maintenance:
    uploadpurging:
      enabled: true
      age: 168h
      interval: 24h
      dryrun: false
    readonly:
      enabled: ${args.readOnly ?? false}
http:
  addr: :${args.port ?? 5000}
  secret: ${quoted(args.httpSecret)}
  # No name or port of this side can get into a Location header.
  relativeurls: true
  draintimeout: 30s
  headers:
    X-Content-Type-Options: [nosniff]
health:
  storagedriver:
    enabled: true
    interval: 3s
    threshold: 3
`;
}

/**
 * Docker's look at a registry. One that is new has to look into its store, for a manifest that is not there, or is; `/`
 * would be answered with 200 for some seconds, whatever the store says.
 */
export function registryHealthTest(port: number): string[] {
  return httpHealthTest({
    port,
    path: "/v2/health-test/manifests/none",
    statuses: [404, 200],
    laterPath: "/",
  });
}

/** A JSON string is a YAML string. */
function quoted(value: string): string {
  return JSON.stringify(value);
}
