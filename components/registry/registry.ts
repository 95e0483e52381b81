import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import * as render from "@moorage/render";
import type { RegistryConfig } from "../../config/services";
import type { Proxies } from "../edge/proxies";
import { type ObjectStore, storageRegion } from "../storage/objectStore";
import { goMemory, SwarmService } from "../swarm/service";
import { placement, type Swarm } from "../swarm/swarm";

const registryPort = 5000;
const configPath = "/etc/distribution/config.yml";
/** Neither the image nor its files need root. */
const unprivileged = "65532";

export interface RegistryArgs {
  readonly swarm: Swarm;
  readonly registry: RegistryConfig;
  readonly store: ObjectStore;
  readonly proxies: Proxies;
  readonly image: string;
  /** Names of the nodes that run a registry each. */
  readonly nodes: string[];
}

/** CNCF Distribution on every registry node, all on the same bucket with the same secret for uploads. */
export class Registry extends pulumi.ComponentResource {
  readonly fingerprint: pulumi.Output<string>;
  readonly ready: pulumi.Resource[];

  constructor(name: string, args: RegistryArgs, options?: pulumi.ComponentResourceOptions) {
    super("moorage:registry:Registry", name, {}, options);
    const httpSecret = new random.RandomPassword(
      `${name}-http-secret`,
      { length: 48, special: false },
      { parent: this },
    ).result;
    const services: SwarmService[] = [];
    for (const node of args.nodes) {
      services.push(this.service(node, args, httpSecret, services.at(-1)));
    }
    this.ready = services.map((service) => service.converged);
    this.fingerprint = pulumi.all(services.map((service) => service.fingerprint)).apply(String);
    this.registerOutputs({});
  }

  private service(
    node: string,
    args: RegistryArgs,
    httpSecret: pulumi.Output<string>,
    previous: SwarmService | undefined,
  ): SwarmService {
    const { registry, store, proxies } = args;
    const own = proxies.services[node];
    return new SwarmService(
      serviceOf(node),
      {
        swarm: args.swarm,
        after: [
          // A registry that starts before its bucket exists answers 503 until its next look at the storage.
          ...store.ready,
          ...(own ? [own.converged] : []),
          // A new one that does not work counts as running for a moment: the others answer instead.
          ...(previous ? [previous.converged] : []),
        ],
        image: args.image,
        constraints: [placement.onNode(node)],
        hostname: serviceOf(node),
        endsFirst: true,
        user: unprivileged,
        environment: { OTEL_TRACES_EXPORTER: "none", ...goMemory(registry.memoryMebibytes) },
        secrets: {
          config: {
            path: configPath,
            content: configOf(node, args, httpSecret),
            uid: unprivileged,
          },
        },
        tmpfs: { "/tmp": 16 },
        memoryMebibytes: registry.memoryMebibytes,
        healthcheck: {
          test: render.registryHealthTest(registryPort),
          intervalSeconds: 1,
          timeoutSeconds: render.lookTimeoutSeconds,
        },
      },
      { parent: this },
    );
  }
}

function configOf(
  node: string,
  { registry, store, proxies }: RegistryArgs,
  httpSecret: pulumi.Output<string>,
): pulumi.Output<string> {
  const { accessKey, secretKey } = store.credentials;
  return pulumi.all([accessKey, secretKey, httpSecret]).apply(([access, secret, http]) =>
    render.renderRegistryConfig({
      bucket: store.bucket,
      endpoint: proxies.endpointFor(node),
      region: storageRegion,
      accessKey: access,
      secretKey: secret,
      httpSecret: http,
      logLevel: registry.logLevel,
    }),
  );
}

/** The Swarm service that is the registry on a node. */
export function serviceOf(node: string): string {
  return `registry-${node}`;
}
