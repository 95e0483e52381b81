/** nginx on an edge node: what `assets/nginx/nginx.conf` includes. */
import { asset } from "./asset";
import { haproxyPorts } from "./haproxy";
import type { RegistryUserModel } from "./model";
import { lines, word } from "./text";

export interface NginxArgs {
  /** DNS names of the HAProxies: the node's own first, the others in its place. */
  readonly haproxies: readonly string[];
  readonly users: readonly RegistryUserModel[];
  /** Lines of bcrypt hashes, see `htpasswd`. Secret. */
  readonly htpasswd: string;
  /** PEM, with its chain. */
  readonly certificate: string;
  /** PEM. Secret. */
  readonly key: string;
  /** Addresses that may ask for nginx's health, besides its container and its node. */
  readonly neighbours: readonly string[];
  /** Longest pause in an upload or download, in seconds. */
  readonly proxyTimeoutSeconds: number;
  /** Size of the content cache, in GiB. */
  readonly cacheGibibytes: number;
  readonly limits: NginxLimits;
}

export interface NginxLimits {
  /** Requests that one address may have in progress. */
  readonly connections: number;
  /** Requests other than GET and HEAD that one user may have in progress. */
  readonly writesPerUser: number;
  /** Of one address. Five seconds' worth may come at once, five seconds' worth more is slowed down. */
  readonly requestsPerSecond: number;
  /** Size at which one request of an upload is ended. */
  readonly layerGibibytes: number;
}

const burstSeconds = 5;
/** Files of `assets/nginx`. */
const constant = [
  "nginx.conf",
  "entry.conf",
  "headers.conf",
  "errors.conf",
  "engine.js",
  "rights.js",
  "start.sh",
  "health.sh",
];

/** Port of nginx in its container; above 1023, so that it needs no capability. */
export const nginxPort = 8443;

/** The configuration's files by name. `cache.conf` has a placeholder for what only the node knows. */
export function nginxFiles(args: NginxArgs): Record<string, string> {
  return {
    ...Object.fromEntries(constant.map((name) => [name, asset(`nginx/${name}`)])),
    "users.js": usersModule(args.users),
    "users.htpasswd": args.htpasswd,
    "front.pem": args.certificate,
    "front.key": args.key,
    "upstream.conf": upstream(args.haproxies),
    "neighbours.conf": neighbours(args.neighbours),
    "rates.conf": lines(
      `limit_req_zone $binary_remote_addr zone=requests:4m rate=${args.limits.requestsPerSecond}r/s;`,
    ),
    "limits.conf": limits(args.limits),
    "upload.conf": lines(
      `client_max_body_size ${args.limits.layerGibibytes}g;`,
      `proxy_read_timeout ${args.proxyTimeoutSeconds}s;`,
    ),
    "cache.conf": cache(args.cacheGibibytes),
  };
}

/** Docker's health check. @param folder of the files */
export function nginxHealthTest(folder: string): string[] {
  return ["CMD", "/bin/sh", `${folder}/health.sh`];
}

/** @param hashes bcrypt, by user */
export function htpasswd(hashes: Readonly<Record<string, string>>): string {
  // For users who do not exist, `-` is checked, at the cost of a generated password's hash: no password has this one.
  return lines(
    ...Object.entries(hashes).map(([user, hash]) => `${user}:${hash}`),
    `-:$2a$10$${".".repeat(53)}`,
  );
}

/** The users' module: their rights, without passwords. */
function usersModule(users: readonly RegistryUserModel[]): string {
  const entries = users.map(({ name, rights }) => `  ${JSON.stringify({ name, rights })},\n`);
  return `export default [\n${entries.join("")}];\n`;
}

function upstream([own = "", ...others]: readonly string[]): string {
  const server = (name: string) =>
    `server ${word(name, "HAProxy's name")}:${haproxyPorts.nginx} resolve max_fails=0`;
  return lines(
    "upstream haproxy {",
    "    zone haproxy 256k;",
    "    # A request that failed says nothing of the next one.",
    `    ${server(own)};`,
    ...others.map((name) => `    ${server(name)} backup;`),
    "    keepalive 64;",
    "}",
  );
}

/** The start script writes the node's own address, which is the container's gateway. */
function neighbours(addresses: readonly string[]): string {
  return lines(
    "allow 127.0.0.1;",
    "include /tmp/node.conf;",
    ...addresses.map((address) => `allow ${word(address, "address")};`),
    "deny all;",
  );
}

function limits({ connections, writesPerUser, requestsPerSecond }: NginxLimits): string {
  const atOnce = requestsPerSecond * burstSeconds;
  return lines(
    `limit_conn connections ${connections};`,
    `limit_conn writes ${writesPerUser};`,
    `limit_req zone=requests burst=${2 * atOnce} delay=${atOnce};`,
  );
}

function cache(gibibytes: number): string {
  return lines(
    `proxy_cache_path /var/cache/nginx levels=1:2 keys_zone=content:16m max_size=${gibibytes}g min_free=@MIN_FREE@ inactive=30d use_temp_path=off;`,
    "map $upstream_http_content_range $too_large {",
    "    default 0;",
    `    "~/(?:${atLeast((gibibytes * 1024 ** 3) / 4)})$" 1;`,
    "}",
  );
}

/** A regular expression of the whole numbers from about this one on: its first two digits count. */
function atLeast(limit: number): string {
  const digits = String(Math.floor(limit));
  const [first = 0, second = 0] = [...digits].map(Number);
  const rest = digits.length - 1;
  return [
    `[0-9]{${digits.length + 1},}`,
    ...(first < 9 ? [`[${first + 1}-9][0-9]{${rest}}`] : []),
    `${first}[${second}-9][0-9]{${rest - 1}}`,
  ].join("|");
}
