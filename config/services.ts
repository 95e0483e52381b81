import { z } from "zod";
import { absolutePath, digest, dnsName, ipv4, isIpv4, notYet, port } from "./values";

export const storage = z
  .strictObject({
    kind: z
      .literal("minio", { error: "only `minio` is supported yet; `external` will follow" })
      .default("minio"),
    bucket: z
      .string()
      .regex(/^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/, "wanted: a bucket name of 3 to 63 characters")
      .default("registry"),
    mountPoint: absolutePath.default("/var/lib/moorage/data").describe("Where data disks are mounted."),
    retain: z.boolean().default(true).describe("`destroy` keeps what was pushed."),
  })
  .prefault({});

const right = z.strictObject({
  repositories: z
    .string()
    .regex(
      /^(\*|[a-z0-9]+([._/-]+[a-z0-9]+)*(\/\*)?)$/,
      "wanted: a repository, a prefix such as team/*, or *",
    ),
  access: z.enum(["read", "write"], { error: "wanted: read or write" }),
});

const coversAll = ({ repositories, access }: z.output<typeof right>): boolean =>
  repositories === "*" && access === "write";

export const registry = z
  .strictObject({
    users: z
      .record(
        z
          .string()
          .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, "wanted: a user name of lower-case letters and digits"),
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
    logLevel: z.enum(["error", "warn", "info", "debug"]).default("info"),
    proxy: notYet("a pull-through mirror"),
  })
  .prefault({});

const alternativeName = z.union([dnsName, z.string().refine(isIpv4)], {
  error: "wanted: a DNS name or an IPv4 address",
});

export const edge = z.strictObject({
  vip: ipv4.describe("The registry's address, held by one edge node at a time; in `network.subnet`."),
  hostname: dnsName.optional().describe("The registry's name; its address `vip` by default."),
  alternativeNames: z.array(alternativeName).default([]).describe("Further names in the certificate."),
  port: port.default(443),
  virtualRouterId: z.int().min(1).max(255).default(51).describe("VRRP id, unique in the subnet."),
  proxyTimeoutSeconds: z.int().min(10).default(900).describe("Longest pause in an upload or download."),
  protectAuthority: z
    .boolean()
    .default(false)
    .describe("Protects the certificate authority: `destroy` then refuses until it is unprotected."),
  certificate: notYet("a certificate of your own"),
});

const image = z.union(
  [
    z.strictObject({
      name: z.string().regex(/^[a-z0-9][a-zA-Z0-9./:_-]*$/, "wanted: an image name"),
      digest,
    }),
    z.strictObject({ archive: z.string().min(1), imageId: digest.optional() }),
  ],
  {
    error:
      "wanted: { name, digest: sha256:… } or { archive: path of a docker-save archive, imageId?: sha256:… }",
  },
);

export const imageNames = ["minio", "registry", "nginx", "haproxy", "keepalived", "etcd"] as const;

export const images = z.strictObject({
  minio: image,
  registry: image,
  nginx: image,
  haproxy: image,
  keepalived: image,
  etcd: image.optional().describe("Needed when `etcd.enabled` is true: an image with etcd 3.5 and etcdctl."),
});

export type ImageConfig = z.output<typeof image>;
export type StorageConfig = z.output<typeof storage>;
export type RegistryConfig = z.output<typeof registry>;
export type EdgeConfig = z.output<typeof edge>;
export type ImagesConfig = z.output<typeof images>;
