/** Found by names that are resolved while nginx runs. */
interface Backend {
  readonly name: string;
  readonly port: number;
}

export interface RegistryBackend extends Backend {
  /** The balancer by which it reaches the store. */
  readonly balancer?: Backend;
}

export interface NginxArgs {
  /** One for each registry node. */
  readonly registries: readonly RegistryBackend[];
  /** The S3 balancers: any of them knows what quorums the store has. */
  readonly balancers: readonly Backend[];
  /** Port inside the container. @default 443 */
  readonly listenPort?: number;
  /** What clients call the registry; any other name is served too, as the certificate decides. */
  readonly serverNames: readonly string[];
  readonly certificatePath: string;
  readonly keyPath: string;
  /** Users and bcrypt hashes. */
  readonly htpasswdPath: string;
  /** Users' hashes before their last change, accepted besides while that change is on its way to every front. */
  readonly previousHtpasswdPath?: string;
  /** Until when each is, by user, in seconds since 1970. @default as long as they are there */
  readonly previousUntil?: Readonly<Record<string, number>>;
  /**
   * Every front as `address:port`. What is a former password here is right past its time, too, for as long as it is the
   * only one that one of them has. They alone are told what is the one of now here. @default none is asked
   */
  readonly fronts?: readonly string[];
  /** `rightsScript()`; beside it stand the users' module, `users.js`, and `pickScript()` of the same registries, `pick.js`. */
  readonly rightsPath: string;
  /** Who may ask for the front's own health besides its container and its node; for others there is no such path. */
  readonly healthFrom?: readonly string[];
  /** How long the end of an upload may take, in which the store copies the layer. @default 900 */
  readonly proxyTimeoutSeconds?: number;
  /** Requests that one address may have in progress; more are answered with 429. @default 1024 */
  readonly connectionsPerAddress?: number;
  /** Requests other than GET and HEAD that one user may have in progress; more are answered with 429. @default 32 */
  readonly writesPerUser?: number;
  /**
   * Requests in a second of one address. Five seconds' worth may come at once, five seconds' worth more is slowed down,
   * the rest is answered with 429. @default 200
   */
  readonly requestsPerSecond?: number;
  /** Size at which one request of an upload is ended, in GiB. @default 312 (what the store takes in 10,000 parts of 32 MiB) */
  readonly largestLayerGibibytes?: number;
  /** @default "127.0.0.11" (Docker's) */
  readonly resolver?: string;
  /** User of the worker processes; absent: what the build of nginx says. */
  readonly user?: string;
  /** A folder that can be written to: pid, sockets, caches and temporary files. @default "/tmp" */
  readonly runPath?: string;
}

export interface Settings extends NginxArgs {
  readonly run: string;
}
