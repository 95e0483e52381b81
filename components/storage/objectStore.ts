import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import * as render from "@moorage/render";
import type { StorageConfig } from "../../config/services";
import { accessKeyOf, Bucket } from "../../providers/bucket";
import { PreviousKeys } from "../../providers/previousKeys";
import { mending } from "../../providers/recorded";
import { RollingOrder } from "../../providers/rollingOrder";
import { StorageOrder } from "../../providers/storageOrder";
import type { ConnectionArgs } from "../machine/access";
import {
  digestOf,
  goMemory,
  shapeOf,
  SwarmService,
  turnAfter,
  type SwarmServiceArgs,
} from "../swarm/service";
import { placement, type Swarm } from "../swarm/swarm";

export const minioPort = 9000;
/** S3's default region: every client that signs without naming one means it. */
export const storageRegion = "us-east-1";
const bucketTimeoutSeconds = 300;
/** Of a balancer with all of its 4,096 connections in use. */
const balancerMebibytes = 256;
const previousKeysTimeoutSeconds = 60;

/** Where MinIO finds its root user in its containers. */
export const rootFiles = {
  rootUserFile: "/run/secrets/root-user",
  rootPasswordFile: "/run/secrets/root-password",
};

export interface ObjectStoreArgs {
  readonly swarm: Swarm;
  readonly storage: StorageConfig;
  readonly images: { readonly minio: string; readonly haproxy: string };
  /** The four storage nodes: how they are reached, and the host folder their drive is. */
  readonly nodes: Readonly<Record<string, { readonly connection: ConnectionArgs; readonly folder: string }>>;
  /** Names of the nodes that get a balancer of their own. */
  readonly balancerNodes: string[];
}

/** A user who may touch the registry's bucket and nothing else. */
export interface BucketCredentials {
  readonly accessKey: pulumi.Output<string>;
  /** Secret. */
  readonly secretKey: pulumi.Output<string>;
}

/** MinIO over four nodes as one erasure set, a bucket in it, and one S3 balancer for each registry node. */
export class ObjectStore extends pulumi.ComponentResource {
  readonly bucket: string;
  readonly credentials: BucketCredentials;
  /** Where the front finds the balancers on the overlay network. */
  readonly balancers: { readonly name: string; readonly port: number }[];
  /** Swarm services of MinIO, by node. */
  readonly services: Readonly<Record<string, string>>;
  readonly fingerprint: pulumi.Output<string>;
  /** The bucket, and the balancers that lead to it. */
  readonly ready: pulumi.Resource[];
  /** How the bucket and its users are administered. */
  private readonly administration: Administration;

  constructor(name: string, args: ObjectStoreArgs, options?: pulumi.ComponentResourceOptions) {
    super("moorage:storage:ObjectStore", name, {}, options);
    const secrets = generateSecrets(name, this);
    const minio = this.minio(name, args, secrets);
    const balancers = this.balancerServices(name, args);
    this.bucket = args.storage.bucket;
    this.credentials = credentialsOf(this.bucket, secrets.secretKey);
    this.balancers = args.balancerNodes.map((node) => this.balancerFor(node));
    const { storageNodes, services } = storeOf(args.nodes);
    this.services = services;
    this.administration = {
      storageNodes,
      services,
      bucket: this.bucket,
      rootUser: secrets.rootUser,
      rootPassword: secrets.rootPassword,
    };
    const bucket = new Bucket(
      `${name}-bucket`,
      {
        ...this.administration,
        ...this.credentials,
        retain: args.storage.retain,
        timeoutSeconds: bucketTimeoutSeconds,
      },
      // MinIO takes requests once its write quorum is there, which needs the services to run first.
      { parent: this, dependsOn: minio.map((service) => service.converged) },
    );
    this.ready = [bucket, ...balancers.map((service) => service.converged)];
    this.fingerprint = pulumi.all([...minio, ...balancers].map((one) => one.fingerprint)).apply(String);
    this.registerOutputs({ bucket: this.bucket });
  }

  /** The S3 balancer of a registry node, as containers on the overlay network reach it. */
  balancerFor(node: string): { readonly name: string; readonly port: number } {
    return { name: balancerOf(node), port: minioPort };
  }

  /** Its URL. */
  endpointFor(node: string): string {
    const { name, port } = this.balancerFor(node);
    return `http://${name}:${port}`;
  }

  /** Removes what registries had for credentials before. @param registries all of them, with the ones of now */
  withoutPreviousKeys(name: string, registries: pulumi.Resource[], parent: pulumi.Resource): PreviousKeys {
    return new PreviousKeys(
      name,
      {
        ...this.administration,
        accessKey: this.credentials.accessKey,
        timeoutSeconds: previousKeysTimeoutSeconds,
      },
      // The store refuses a registry whose key is taken away before it has the new one.
      { parent, dependsOn: registries },
    );
  }

  private minio(name: string, args: ObjectStoreArgs, secrets: StoreSecrets): SwarmService[] {
    const store = storeOf(args.nodes);
    const members = Object.entries(args.nodes).map(([node, { folder }]) => ({
      node,
      shape: memberArgs(node, folder, args),
    }));
    const order = this.order(
      name,
      args,
      secrets,
      members.map(({ shape }) => shape),
    );
    const services: SwarmService[] = [];
    for (const { node, shape } of members) {
      const service = new SwarmService(
        storageServiceOf(node),
        {
          ...shape,
          swarm: args.swarm,
          files: {
            "root-user": { path: rootFiles.rootUserFile, content: secrets.rootUser, secret: true },
            "root-password": {
              path: rootFiles.rootPasswordFile,
              content: secrets.rootPassword,
              secret: true,
            },
          },
          // Two of them away at once would cost the write quorum.
          turn: turnAfter(services.at(-1), order.oneByOne),
          memberOf: { node, store, oneByOne: order.oneByOne },
        },
        { parent: this },
      );
      services.push(service);
    }
    return services;
  }

  private order(
    name: string,
    args: ObjectStoreArgs,
    { rootUser, rootPassword }: StoreSecrets,
    shapes: readonly MemberArgs[],
  ): StorageOrder {
    const { storageNodes, services } = storeOf(args.nodes);
    const common = shapes.map(({ command, args, environment }) => [command, args, environment]);
    return new StorageOrder(
      `${name}-order`,
      {
        nodes: storageNodes,
        services,
        shape: shapes.map(shapeOf).join(" "),
        // Members log in at each other as the root user.
        common: pulumi.all([rootUser, rootPassword]).apply((root) => digestOf([...root, common])),
        image: args.images.minio,
        ...mending(Object.values(services), args.swarm.joined),
      },
      // It asks MinIO itself, where there is one.
      { parent: this, dependsOn: args.swarm.ready },
    );
  }

  /** One that does not work takes its node's registry with it: the others are changed when it does. */
  private balancerServices(name: string, args: ObjectStoreArgs): SwarmService[] {
    const shapes = args.balancerNodes.map((node) => balancerArgs(node, args));
    const names = args.balancerNodes.map(balancerOf);
    const order = new RollingOrder(
      `${name}-balancers-order`,
      {
        what: "S3 balancers",
        shape: digestOf(shapes.map((shape) => [shapeOf(shape), shape.files])),
        services: names,
        ...mending(names, args.swarm.joined),
      },
      { parent: this },
    );
    const services: SwarmService[] = [];
    for (const [index, shape] of shapes.entries()) {
      const service = new SwarmService(
        names[index] ?? "",
        { ...shape, swarm: args.swarm, turn: turnAfter(services.at(-1), order.oneByOne) },
        { parent: this },
      );
      services.push(service);
    }
    return services;
  }
}

function balancerArgs(node: string, { nodes, images }: ObjectStoreArgs): MemberArgs {
  const backends = Object.keys(nodes).map((member) => ({ name: storageServiceOf(member), port: minioPort }));
  return {
    image: images.haproxy,
    constraints: [placement.onNode(node)],
    hostname: balancerOf(node),
    user: "haproxy",
    files: {
      config: {
        path: "/usr/local/etc/haproxy/haproxy.cfg",
        content: render.renderS3Balancer({
          backends,
          preferred: node in nodes ? storageServiceOf(node) : undefined,
          listenPort: minioPort,
        }),
      },
    },
    tmpfs: { "/tmp": 16 },
    memoryMebibytes: balancerMebibytes,
    healthcheck: {
      test: render.balancerHealthTest(minioPort),
      intervalSeconds: 1,
      timeoutSeconds: render.lookTimeoutSeconds,
    },
  };
}

type MemberArgs = Omit<SwarmServiceArgs, "swarm">;

/** All of a member but its root user. */
function memberArgs(node: string, folder: string, { nodes, images, storage }: ObjectStoreArgs): MemberArgs {
  return {
    image: images.minio,
    constraints: [placement.onNode(node)],
    // MinIO finds itself among its peers by this name.
    hostname: storageServiceOf(node),
    command: render.minioStart(),
    args: render.minioCommand({ names: Object.keys(nodes).map(storageServiceOf), port: minioPort }),
    environment: {
      HOME: "/tmp",
      ...goMemory(storage.memoryMebibytes),
      ...render.minioEnvironment({
        ...rootFiles,
        region: storageRegion,
      }),
    },
    binds: { "/data": folder },
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
    // Members of different versions do not serve together.
    failureAction: "pause",
  };
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

interface Administration extends ReturnType<typeof storeOf> {
  readonly bucket: string;
  /** Secret, as its password. */
  readonly rootUser: pulumi.Output<string>;
  readonly rootPassword: pulumi.Output<string>;
}

/** Another secret key comes with another name: registries get it one after the other, and both have to be right meanwhile. */
function credentialsOf(bucket: string, secretKey: pulumi.Output<string>): BucketCredentials {
  return {
    accessKey: pulumi.unsecret(secretKey.apply((secret) => accessKeyOf(bucket, secret))),
    secretKey,
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

function balancerOf(node: string): string {
  return `s3-${node}`;
}
