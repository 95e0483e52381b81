import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import * as render from "@moorage/render";
import type { StorageConfig } from "../../config/services";
import { accessKeyOf, Bucket, StorageUser } from "../../providers/storage";
import type { ConnectionArgs } from "../machine/access";
import { goMemory, SwarmService } from "../swarm/service";
import { placement, type Swarm } from "../swarm/swarm";

export const minioPort = 9000;
/** S3's default region: every client that signs without naming one means it. */
export const storageRegion = "us-east-1";
const bucketTimeoutSeconds = 300;

/** Where MinIO finds its root user in its containers. */
export const rootFiles = {
  rootUserFile: "/run/secrets/root-user",
  rootPasswordFile: "/run/secrets/root-password",
};

export interface ObjectStoreArgs {
  readonly swarm: Swarm;
  readonly storage: StorageConfig;
  /** MinIO's, as Docker names it. */
  readonly image: string;
  /** The four storage nodes: how they are reached, and the host folder their drive is. */
  readonly nodes: Readonly<Record<string, { readonly connection: ConnectionArgs; readonly folder: string }>>;
}

/** A user who may touch the registry's bucket and nothing else. */
export interface BucketCredentials {
  readonly accessKey: pulumi.Output<string>;
  /** Secret. */
  readonly secretKey: pulumi.Output<string>;
}

/** MinIO over four nodes as one erasure set, a bucket in it, and the registry's user, who may touch that bucket only. */
export class ObjectStore extends pulumi.ComponentResource {
  readonly bucket: string;
  readonly credentials: BucketCredentials;
  /** Swarm services of MinIO, by node. */
  readonly services: Readonly<Record<string, string>>;
  readonly fingerprint: pulumi.Output<string>;
  readonly ready: pulumi.Resource[];

  constructor(name: string, args: ObjectStoreArgs, options?: pulumi.ComponentResourceOptions) {
    super("moorage:storage:ObjectStore", name, {}, options);
    const { storageNodes, services } = storeOf(args.nodes);
    this.services = services;
    this.bucket = args.storage.bucket;
    const secrets = generateSecrets(name, this);
    const { rootUser, rootPassword, secretKey } = secrets;
    // Members of different versions or settings do not serve together, so all of them change at once.
    const minio = Object.keys(args.nodes).map((node) => this.member(node, args, secrets));
    const administration = {
      storageNodes,
      services,
      bucket: this.bucket,
      rootUser,
      rootPassword,
      timeoutSeconds: bucketTimeoutSeconds,
    };
    const bucket = new Bucket(
      `${name}-bucket`,
      { ...administration, retain: args.storage.retain },
      // MinIO takes requests once its write quorum is there, which needs the services to run first.
      { parent: this, dependsOn: minio.map((service) => service.converged) },
    );
    // Another key is another user: registries get it one after the other, and both are valid until all have it.
    const accessKey = pulumi.unsecret(secretKey.apply((secret) => accessKeyOf(this.bucket, secret)));
    this.credentials = { accessKey, secretKey };
    const user = new StorageUser(
      `${name}-user`,
      { ...administration, ...this.credentials },
      // A user's policy names the bucket.
      { parent: this, dependsOn: bucket },
    );
    this.ready = [bucket, user];
    this.fingerprint = pulumi.all(minio.map((one) => one.fingerprint)).apply(String);
    this.registerOutputs({ bucket: this.bucket });
  }

  private member(node: string, args: ObjectStoreArgs, secrets: StoreSecrets): SwarmService {
    const { image, nodes, storage, swarm } = args;
    const folder = nodes[node]?.folder ?? "";
    return new SwarmService(
      storageServiceOf(node),
      {
        swarm,
        image,
        constraints: [placement.onNode(node)],
        // MinIO finds itself among its peers by this name.
        hostname: storageServiceOf(node),
        command: render.minioStart(),
        args: render.minioCommand({ names: Object.keys(nodes).map(storageServiceOf), port: minioPort }),
        environment: {
          HOME: "/tmp",
          ...goMemory(storage.memoryMebibytes),
          ...render.minioEnvironment({ ...rootFiles, region: storageRegion }),
        },
        secrets: {
          "root-user": { path: rootFiles.rootUserFile, content: secrets.rootUser },
          "root-password": { path: rootFiles.rootPasswordFile, content: secrets.rootPassword },
        },
        binds: { "/data": { source: folder } },
        tmpfs: { "/tmp": 64 },
        memoryMebibytes: storage.memoryMebibytes,
        sysctls: render.minioSysctls,
        // A member that hangs stops pushes until Swarm has replaced it: three failed checks, then the time to stop.
        healthcheck: {
          test: render.minioHealthTest(),
          intervalSeconds: 5,
          timeoutSeconds: 3,
          startPeriodSeconds: 30,
        },
        stopGraceSeconds: 10,
        // A rollback would mix versions.
        failureAction: "pause",
        interrupts:
          "all members of MinIO restart together: pushes get 503 for some seconds, cached pulls go on",
      },
      { parent: this },
    );
  }
}

interface StoreSecrets {
  readonly rootUser: pulumi.Output<string>;
  readonly rootPassword: pulumi.Output<string>;
  readonly secretKey: pulumi.Output<string>;
}

function generateSecrets(name: string, parent: pulumi.Resource): StoreSecrets {
  const password = (part: string, length: number) =>
    new random.RandomPassword(`${name}-${part}`, { length, special: false }, { parent }).result;
  return {
    rootUser: password("root-user", 16),
    rootPassword: password("root-password", 40),
    secretKey: password("registry-key", 40),
  };
}

/** Where MinIO is found. @param nodes the storage nodes */
export function storeOf(nodes: Readonly<Record<string, { readonly connection: ConnectionArgs }>>) {
  return {
    storageNodes: Object.values(nodes).map(({ connection }) => connection),
    services: Object.fromEntries(Object.keys(nodes).map((node) => [node, storageServiceOf(node)])),
  };
}

/** The Swarm service that is MinIO on a node. */
export function storageServiceOf(node: string): string {
  return `minio-${node}`;
}
