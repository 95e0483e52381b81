import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import * as render from "@moorage/render";
import type { RegistryConfig } from "../../config/services";
import { PreviousHashes } from "../../providers/previousHashes";
import { mending } from "../../providers/recorded";
import { RollingOrder } from "../../providers/rollingOrder";
import { type ObjectStore, storageRegion } from "../storage/objectStore";
import {
  digestOf,
  goMemory,
  shapeOf,
  SwarmService,
  turnAfter,
  type SwarmServiceArgs,
} from "../swarm/service";
import { placement, type Swarm } from "../swarm/swarm";

const registryPort = 5000;
const configPath = "/etc/distribution/config.yml";
/** Neither the image nor its files need root. */
const unprivileged = "65532";

export interface RegistryArgs {
  readonly swarm: Swarm;
  readonly registry: RegistryConfig;
  readonly store: ObjectStore;
  readonly image: string;
  /** Names of the nodes that run a registry each. */
  readonly nodes: string[];
}

export interface RegistryUser {
  readonly name: string;
  /** Secret. */
  readonly password: pulumi.Output<string>;
  /** Secret. */
  readonly bcryptHash: pulumi.Output<string>;
  readonly rights: render.RightModel[];
}

/** CNCF Distribution on every registry node, all on the same bucket with the same secret for uploads. */
export class Registry extends pulumi.ComponentResource {
  /** Where the front finds each of them on the overlay network. */
  readonly backends: render.RegistryBackend[];
  readonly users: RegistryUser[];
  /** What users had for a password before its last change. */
  readonly previous: PreviousHashes;
  /** The first user, by name, who may write everything. */
  readonly administrator: RegistryUser;
  /** Every user's password, by name. Secret. */
  readonly passwords: pulumi.Output<Record<string, string>>;
  readonly fingerprint: pulumi.Output<string>;
  readonly ready: pulumi.Resource[];

  constructor(name: string, args: RegistryArgs, options?: pulumi.ComponentResourceOptions) {
    super("moorage:registry:Registry", name, {}, options);
    this.users = Object.entries(args.registry.users).map(([user, of]) => this.user(name, user, of.rights));
    this.administrator = administratorAmong(this.users);
    this.passwords = pulumi.secret(Object.fromEntries(this.users.map((user) => [user.name, user.password])));
    const httpSecret = new random.RandomPassword(
      `${name}-http-secret`,
      { length: 48, special: false },
      { parent: this },
    ).result;
    const services = this.replicas(name, args, httpSecret);
    this.backends = args.nodes.map((node) => ({
      name: serviceOf(node),
      port: registryPort,
      balancer: args.store.balancerFor(node),
    }));
    this.ready = services.map((service) => service.converged);
    this.previous = new PreviousHashes(
      `${name}-previous-passwords`,
      {
        hashes: Object.fromEntries(this.users.map((user) => [user.name, user.bcryptHash])),
        minutes: args.registry.previousPasswordMinutes,
      },
      // A former password's time begins when the fronts are next, however long registries take before them.
      { parent: this, dependsOn: this.ready },
    );
    args.store.withoutPreviousKeys(`${name}-previous-keys`, this.ready, this);
    this.fingerprint = pulumi.all(services.map((service) => service.fingerprint)).apply(String);
    this.registerOutputs({ backends: this.backends });
  }

  private user(name: string, user: string, rights: RegistryConfig["users"][string]["rights"]): RegistryUser {
    const password = new random.RandomPassword(
      `${name}-user-${user}`,
      { length: 32, special: false },
      { parent: this },
    );
    return {
      name: user,
      password: password.result,
      bcryptHash: password.bcryptHash,
      rights: rights.map(({ repositories, access }) => ({ prefix: repositories.replace(/\*$/, ""), access })),
    };
  }

  /** A new one that does not work counts as running for a moment: at one of them at a time others answer instead. */
  private replicas(name: string, args: RegistryArgs, httpSecret: pulumi.Output<string>): SwarmService[] {
    const replicas = args.nodes.map((node) => replicaArgs(node, args, httpSecret));
    const configs = replicas.map(({ config }) => config);
    const shapes = replicas.map(({ shape }) => shapeOf(shape));
    const names = args.nodes.map(serviceOf);
    const order = new RollingOrder(
      `${name}-order`,
      {
        what: "registries",
        shape: pulumi.all(configs).apply((texts) => digestOf([shapes, texts])),
        services: names,
        ...mending(names, args.swarm.joined),
      },
      { parent: this },
    );
    const services: SwarmService[] = [];
    for (const [index, { shape, config }] of replicas.entries()) {
      const service = new SwarmService(
        names[index] ?? "",
        {
          ...shape,
          swarm: args.swarm,
          // A registry that starts before its bucket exists answers 503 until its next look at the storage.
          after: args.store.ready,
          turn: turnAfter(services.at(-1), order.oneByOne),
          files: { config: { path: configPath, content: config, secret: true, uid: unprivileged } },
        },
        { parent: this },
      );
      services.push(service);
    }
    return services;
  }
}

interface Replica {
  /** All of it but its configuration. */
  readonly shape: Omit<SwarmServiceArgs, "swarm">;
  /** Secret. */
  readonly config: pulumi.Output<string>;
}

function replicaArgs(
  node: string,
  { store, registry, image }: RegistryArgs,
  httpSecret: pulumi.Output<string>,
): Replica {
  const { accessKey, secretKey } = store.credentials;
  const config = pulumi.all([accessKey, secretKey, httpSecret]).apply(([access, secret, http]) =>
    render.renderRegistryConfig({
      bucket: store.bucket,
      endpoint: store.endpointFor(node),
      region: storageRegion,
      accessKey: access,
      secretKey: secret,
      httpSecret: http,
      logLevel: registry.logLevel,
    }),
  );
  const shape = {
    image,
    constraints: [placement.onNode(node)],
    hostname: serviceOf(node),
    endsFirst: true,
    user: unprivileged,
    environment: { OTEL_TRACES_EXPORTER: "none", ...goMemory(registry.memoryMebibytes) },
    tmpfs: { "/tmp": 16 },
    memoryMebibytes: registry.memoryMebibytes,
    healthcheck: {
      test: render.registryHealthTest(registryPort),
      intervalSeconds: 1,
      timeoutSeconds: render.lookTimeoutSeconds,
    },
  };
  return { shape, config };
}

function serviceOf(node: string): string {
  return `registry-${node}`;
}

function administratorAmong(users: RegistryUser[]): RegistryUser {
  const found = users.find(({ rights }) =>
    rights.some(({ prefix, access }) => prefix === "" && access === "write"),
  );
  if (!found) throw new Error("no user of the registry may write everything");
  return found;
}
