import { z } from "zod";
import { dataFolder } from "./folders";
import { isRepositoryName } from "./repositoryName";
import { digest, dnsNameOrIpv4, ipv4, isMember, notYet, port, sharedName, text, whole } from "./values";

const healing = z
  .strictObject({
    enabled: z
      .boolean()
      .default(true)
      .describe("By a timer on the first storage node. Without it MinIO's scanner does it, in days."),
    everyHours: whole(1, 720)
      .default(24)
      .describe("After so many hours everything is looked through, whatever was seen."),
  })
  .prefault({});

export const storage = z
  .strictObject({
    kind: z
      .literal("minio", { error: "only `minio` is supported yet; `external` will follow" })
      .default("minio"),
    bucket: z
      .string()
      .regex(/^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/, "wanted: a bucket name of 3 to 63 characters")
      .default("registry"),
    mountPoint: dataFolder.default("/var/lib/moorage/data").describe("Where data disks are mounted."),
    memoryMebibytes: whole(1024, 1048576)
      .default(4096)
      .describe(
        "Memory of MinIO on each storage node, in MiB. It takes fewer requests at once where it has less.",
      ),
    retain: z.boolean().default(true).describe("`destroy` keeps what was pushed."),
    healing: healing.describe(
      "What was written while a drive was away is brought to it once all are there again.",
    ),
  })
  .prefault({});

/** A name that no repository can have would be a right to nothing. */
function isPattern(value: string): boolean {
  return value === "*" || isRepositoryName(value.replace(/\/\*$/, ""));
}

const right = z.strictObject({
  repositories: text(isPattern, "a repository, a prefix such as team/*, or *").describe(
    "A repository, all below a prefix such as `team/*`, or `*`.",
  ),
  access: z.enum(["read", "write"], { error: "wanted: read or write" }),
});

const coversAll = ({ repositories, access }: z.output<typeof right>): boolean =>
  repositories === "*" && access === "write";

export const registry = z
  .strictObject({
    users: z
      .record(
        text(
          (name) => /^[a-z0-9][a-z0-9._-]{0,62}$/.test(name) && !isMember(name),
          "a user name of lower-case letters and digits",
        ),
        z.strictObject({ rights: z.array(right).default([]) }),
      )
      .refine(
        (all) => Object.values(all).some(({ rights }) => rights.some(coversAll)),
        "wanted: at least one user with write access to *, who proves the registry after every update",
      )
      .default({ admin: { rights: [{ repositories: "*", access: "write" }] } })
      .describe(
        "Users and their rights; passwords are generated. The stack outputs `username` and `password` are those of the first, by name, who may write everything.",
      ),
    passwordGraceMinutes: whole(0, 1440)
      .default(15)
      .describe(
        "Grace period: after a user's password was changed, the previous one works for so long on each edge node, counted from when that node gets the new one. 0: it is refused at once.",
      ),
    logLevel: z.enum(["error", "warn", "info", "debug"]).default("warn"),
    memoryMebibytes: whole(512, 1048576)
      .default(2048)
      .describe(
        "Memory of each registry in MiB. A layer that is pushed takes up to 40; a registry that wants more ends and starts again, and others answer meanwhile.",
      ),
    proxy: notYet("a pull-through mirror"),
  })
  .prefault({});

const limits = z
  .strictObject({
    connections: whole(16, 4096)
      .default(1024)
      .describe(
        "Requests that one address may have in progress. A site behind a NAT is one address; Docker pulls three layers at once, and gives up where it is refused.",
      ),
    writesPerUser: whole(8, 1024)
      .default(32)
      .describe(
        "Uploads, manifests and deletions that one user may have in progress at one edge node, from all addresses. Docker pushes five layers at once. Each takes up to 40 MiB of its registry's memory, and a manifest up to 5 MiB of nginx's.",
      ),
    requestsPerSecond: whole(10, 10000)
      .default(200)
      .describe(
        "Requests in a second of one address. Five times as many may come at once, as many again are slowed down, the rest is answered with 429.",
      ),
    layerGibibytes: whole(1, 312)
      .default(312)
      .describe(
        "Size at which one request of an upload is refused, in GiB: a layer's, as clients send them in one. The store takes none larger than the default.",
      ),
  })
  .prefault({});

const cache = z
  .strictObject({
    size: whole(1, 1048576)
      .default(10)
      .describe(
        "GiB of layers and manifests that each edge node keeps on its disk, in `/var/lib/moorage/cache`. It holds fewer where less than a tenth of that disk would stay free, and no layer larger than a quarter of this.",
      ),
  })
  .prefault({});

export const edge = z.strictObject({
  vip: ipv4.describe("The registry's address, held by one edge node at a time; in `network.subnet`."),
  hostname: sharedName.optional().describe("The registry's name; its address `vip` by default."),
  alternativeNames: z
    .array(dnsNameOrIpv4)
    .default([])
    .describe("Further names in the certificate: DNS names and IPv4 addresses."),
  port: port.default(443),
  virtualRouterId: whole(1, 255).default(51).describe("VRRP id, unique in the subnet."),
  proxyTimeoutSeconds: whole(10, 86400).default(900).describe("Longest pause in an upload or download."),
  memoryMebibytes: whole(768, 1048576)
    .default(1024)
    .describe("Memory of nginx on each edge node, in MiB; 448 of it may be what slow clients send and read."),
  cache: cache.describe("The content cache, which answers pulls of known content while the store does not."),
  limits: limits.describe("What one client may ask of the front; more is answered with 429, or with 413."),
  protectAuthority: z
    .boolean()
    .default(false)
    .describe(
      "Protects the CAs of the front, of Docker's API and of etcd: `destroy` then refuses until they are unprotected.",
    ),
  certificate: notYet("a certificate of your own"),
});

const image = z.union(
  [
    z.strictObject({
      name: z.string().regex(/^[a-z0-9][a-zA-Z0-9./:_-]*$/, "wanted: an image name"),
      digest,
    }),
    z.strictObject({
      archive: text(/^[^\p{Control}\p{Surrogate}]+$/u, "the path of an archive made by `docker save`"),
      imageId: digest.optional(),
    }),
  ],
  {
    error:
      "wanted: { name, digest: sha256:… } or { archive: path of a docker-save archive, imageId?: sha256:… }",
  },
);

export const imageNames = ["minio", "registry", "nginx", "haproxy", "keepalived", "etcd"] as const;

export const images = z.strictObject({
  minio: image.describe("MinIO, with `mc`, `sh`, `cat` and `timeout`."),
  registry: image.describe("CNCF Distribution 3.1, with `sh`, and one of `curl`, `wget` and `bash`."),
  nginx: image.describe(
    "nginx 1.27.3 or later with its module for JavaScript (njs 0.8.1 or later), `curl` and `sh`.",
  ),
  haproxy: image.describe("HAProxy, with `sh`, and one of `curl`, `wget` and `bash`."),
  keepalived: image.describe("keepalived, with `curl` and `sh`."),
  etcd: image.optional().describe("Needed when `etcd.enabled` is true: an image with etcd 3.5 and etcdctl."),
});

export type ImageConfig = z.output<typeof image>;
export type StorageConfig = z.output<typeof storage>;
export type RegistryConfig = z.output<typeof registry>;
export type EdgeConfig = z.output<typeof edge>;
export type ImagesConfig = z.output<typeof images>;
