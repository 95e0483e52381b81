import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import * as render from "@moorage/render";
import type { RegistryConfig } from "../../config/services";
import { PreviousHashes } from "../../providers/previousHashes";
import { type ObjectStore, storageRegion } from "../storage/objectStore";
import { SwarmService } from "../swarm/service";
import { placement, type Swarm } from "../swarm/swarm";

const registryPort = 5000;
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
  readonly backends: { readonly name: string; readonly port: number }[];
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
    this.previous = new PreviousHashes(
      `${name}-previous-passwords`,
      {
        hashes: Object.fromEntries(this.users.map((user) => [user.name, user.bcryptHash])),
        minutes: args.registry.previousPasswordMinutes,
      },
      { parent: this },
    );
    this.administrator = administratorAmong(this.users);
    this.passwords = pulumi.secret(Object.fromEntries(this.users.map((user) => [user.name, user.password])));
    const httpSecret = new random.RandomPassword(
      `${name}-http-secret`,
      { length: 48, special: false },
      { parent: this },
    ).result;
    const services = args.nodes.map((node) => this.service(node, args, httpSecret));
    this.backends = args.nodes.map((node) => ({ name: serviceOf(node), port: registryPort }));
    this.ready = services.map((service) => service.converged);
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

  private service(node: string, args: RegistryArgs, httpSecret: pulumi.Output<string>): SwarmService {
    const { store } = args;
    const config = pulumi.all([store.credentials.secretKey, httpSecret]).apply(([secretKey, http]) =>
      render.renderRegistryConfig({
        bucket: store.bucket,
        endpoint: store.endpointFor(node),
        region: storageRegion,
        accessKey: store.credentials.accessKey,
        secretKey,
        httpSecret: http,
        logLevel: args.registry.logLevel,
      }),
    );
    return new SwarmService(
      serviceOf(node),
      {
        swarm: args.swarm,
        // A registry that starts before its bucket exists answers 503 until its next look at the storage.
        after: store.ready,
        image: args.image,
        constraints: [placement.onNode(node)],
        hostname: serviceOf(node),
        user: unprivileged,
        environment: { OTEL_TRACES_EXPORTER: "none" },
        files: {
          config: { path: "/etc/distribution/config.yml", content: config, secret: true, uid: unprivileged },
        },
        tmpfs: ["/tmp"],
      },
      { parent: this },
    );
  }
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
