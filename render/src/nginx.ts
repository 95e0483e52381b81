/** The front: TLS, users and rights, and the way to a registry that answers. */
import { indent, lines, urlHost, word } from "./text";

export interface NginxArgs {
  /** A registry's name, resolved while nginx runs, one for each registry node. */
  readonly registries: readonly { readonly name: string; readonly port: number }[];
  /** Port inside the container. @default 443 */
  readonly listenPort?: number;
  /** What clients call the registry; any other name is served too, as the certificate decides. */
  readonly serverNames: readonly string[];
  readonly certificatePath: string;
  readonly keyPath: string;
  /** Users and bcrypt hashes. */
  readonly htpasswdPath: string;
  /** The hashes before the last change, accepted besides while that change is on its way to every front. */
  readonly previousHtpasswdPath?: string;
  /** `rightsScript()`; the users' module stands beside it as `users.js`. */
  readonly rightsPath: string;
  /** Who may ask for the front's own health; others are told that there is no such path. */
  readonly healthFrom?: readonly string[];
  /** How long the end of an upload may take, in which the store copies the layer. @default 900 */
  readonly proxyTimeoutSeconds?: number;
  /** @default "127.0.0.11" (Docker's) */
  readonly resolver?: string;
  /** User of the worker processes; absent: what the build of nginx says. */
  readonly user?: string;
  /** A folder that can be written to: pid, sockets, caches and temporary files. @default "/tmp" */
  readonly runPath?: string;
}

/** Loopback, and the gateways of Docker's own networks, which a check on the node itself comes from. */
export const defaultHealthFrom: readonly string[] = ["127.0.0.0/8", "::1", "172.16.0.0/12"];

/** Starts nginx in the foreground; the log goes to stderr before the configuration is read, too. */
export function nginxCommand(configPath: string): string[] {
  return ["nginx", "-e", "stderr", "-c", configPath];
}

interface Settings extends NginxArgs {
  readonly run: string;
  readonly health: readonly string[];
}

export function renderNginx(args: NginxArgs): string {
  const settings: Settings = {
    ...args,
    run: word(args.runPath ?? "/tmp", "run path"),
    health: args.healthFrom ?? defaultHealthFrom,
  };
  return [
    mainContext(settings),
    `http {\n${indent(
      [
        httpBasics(settings),
        limits(),
        rights(settings),
        answers(),
        upstream(settings),
        passwordServer(settings),
        registryServer(settings),
      ].join("\n"),
      4,
    )}}\n`,
  ].join("\n");
}

function mainContext(args: Settings): string {
  return lines(
    "load_module modules/ngx_http_js_module.so;",
    "",
    args.user !== undefined && `user ${word(args.user, "user")};`,
    "daemon off;",
    "worker_processes auto;",
    "worker_rlimit_nofile 16384;",
    "worker_shutdown_timeout 60s;",
    `pid ${args.run}/nginx.pid;`,
    "error_log stderr warn;",
    "",
    "events {",
    "    worker_connections 4096;",
    "}",
  );
}

function httpBasics(args: Settings): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  return lines(
    ...temporary.map((kind) => `${kind}_temp_path ${args.run}/${kind};`),
    "default_type application/json;",
    "server_tokens off;",
    "absolute_redirect off;",
    "tcp_nodelay on;",
    "keepalive_timeout 65s;",
    "client_header_timeout 15s;",
    "client_body_timeout 60s;",
    "send_timeout 60s;",
    "large_client_header_buffers 4 16k;",
    "# Here and not in one location, as the password's subrequest is measured by the body, too.",
    "client_max_body_size 0;",
    "",
    "# The path without its query, which can hold an upload's state; no header, so no credentials.",
    "log_format registry escape=json",
    `    '{"time":"$time_iso8601","client":"$remote_addr","user":"$remote_user","method":"$request_method",'`,
    `    '"path":"$uri","status":$status,"received":$request_length,"sent":$bytes_sent,"seconds":$request_time,'`,
    `    '"upstream":"$upstream_addr","upstreamStatus":"$upstream_status",'`,
    `    '"upstreamSeconds":"$upstream_response_time","agent":"$http_user_agent"}';`,
    "access_log /dev/stdout registry;",
    "",
    `resolver ${urlHost(word(args.resolver ?? "127.0.0.11", "resolver"))} valid=1s ipv6=off;`,
    "resolver_timeout 2s;",
  );
}

/** Requests with credentials that are not known yet cost a bcrypt, and are how passwords are guessed. */
function limits(): string {
  return lines(
    "map $http_authorization $login_attempt {",
    `    "" "";`,
    "    default $http_x_client;",
    "}",
    "limit_req_zone $login_attempt zone=logins:1m rate=5r/s;",
    "limit_req_log_level info;",
  );
}

function rights(args: Settings): string {
  const path = word(args.rightsPath, "rights path");
  const folder = path.slice(0, path.lastIndexOf("/")) || "/";
  return lines(
    `js_path ${folder};`,
    `js_import rights from ${path};`,
    "js_set $registry_route rights.route;",
    "js_set $registry_affinity rights.affinity;",
    "js_set $credential rights.credential;",
    `proxy_cache_path ${args.run}/passwords keys_zone=passwords:1m max_size=16m inactive=1m use_temp_path=off;`,
    "",
    "# A form in a body would outweigh the query when the registry looks for the repository to mount from.",
    "map $http_content_type $upload_content_type {",
    "    default $http_content_type;",
    '    "~*x-www-form-urlencoded|multipart/" application/octet-stream;',
    "}",
  );
}

/** Headers of answers made here; what a registry says itself passes unchanged. */
function answers(): string {
  return lines(
    "map $status $retry_after {",
    `    default "";`,
    "    429 1;",
    "    503 5;",
    "}",
    "map $status $challenge {",
    `    default "";`,
    `    401 'Basic realm="Registry"';`,
    "}",
    "map $upstream_http_docker_distribution_api_version $api_version {",
    `    default "";`,
    `    "" registry/2.0;`,
    "}",
  );
}

function upstream(args: Settings): string {
  return lines(
    "# One replica for all of a repository, since each has a cache of its own; the others take over when it is gone.",
    "upstream registries {",
    "    zone registries 256k;",
    "    hash $registry_affinity consistent;",
    ...args.registries.map(
      ({ name, port }) =>
        `    server ${word(name, "registry's name")}:${port} resolve max_fails=1 fail_timeout=2s;`,
    ),
    "}",
  );
}

/**
 * bcrypt is slow on purpose: each password is checked here once in 30 s, the answer is kept at the caller's.
 * 403 says that it is wrong and 401 that there were too many: `auth_request` passes these two on, and copies the
 * challenge of a 401, of which the client would then see two.
 */
function passwordServer(args: Settings): string {
  const previous = args.previousHtpasswdPath;
  return lines(
    "server {",
    `    listen unix:${args.run}/password.sock;`,
    "    access_log off;",
    "    root /var/empty;",
    "    limit_req zone=logins burst=40 delay=10;",
    "    limit_req_status 429;",
    "    error_page 429 =401 @throttled;",
    `    auth_basic "Registry";`,
    `    auth_basic_user_file ${word(args.htpasswdPath, "htpasswd path")};`,
    `    error_page 401 ${previous === undefined ? "=403 @refused" : "= @previous"};`,
    "    recursive_error_pages on;",
    "    location / {",
    "        try_files /none =204;",
    "    }",
    ...(previous === undefined
      ? []
      : [
          "    location @previous {",
          `        auth_basic_user_file ${word(previous, "previous htpasswd path")};`,
          "        error_page 401 =403 @refused;",
          "        try_files /none =204;",
          "    }",
        ]),
    "    location @refused {",
    "        return 403 wrong;",
    "    }",
    "    location @throttled {",
    "        return 401 throttled;",
    "    }",
    "}",
  );
}

function registryServer(args: Settings): string {
  const port = args.listenPort ?? 443;
  return lines(
    "server {",
    `    listen ${port} ssl default_server so_keepalive=on;`,
    "    http2 on;",
    "    http2_body_preread_size 256k;",
    `    server_name ${args.serverNames.map((name) => word(name, "server name")).join(" ")};`,
    "",
    indent(tls(args), 4),
    indent(headersAndErrors(), 4),
    indent(health(args), 4),
    indent(entry(args), 4),
    indent(kinds(args), 4).trimEnd(),
    "}",
  );
}

/** Mozilla's intermediate configuration, version 5.7. */
function tls(args: Settings): string {
  const ciphers = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
  ];
  return lines(
    `ssl_certificate ${word(args.certificatePath, "certificate path")};`,
    `ssl_certificate_key ${word(args.keyPath, "key path")};`,
    "ssl_protocols TLSv1.2 TLSv1.3;",
    `ssl_ciphers ${ciphers.join(":")};`,
    "ssl_prefer_server_ciphers off;",
    "ssl_ecdh_curve X25519:prime256v1:secp384r1;",
    "ssl_session_timeout 1d;",
    "ssl_session_cache shared:tls:10m;",
    "ssl_session_tickets off;",
  );
}

const errors = [
  [400, "@bad_request", "UNSUPPORTED", "the request cannot be understood"],
  [401, "@throttled", "TOOMANYREQUESTS", "too many login attempts, try again in a moment", 429],
  [403, "@unauthorized", "UNAUTHORIZED", "authentication required", 401],
  [404, "@unknown", "NAME_INVALID", "no path of the registry, or no valid repository name"],
  [405, "@unsupported", "UNSUPPORTED", "the method is not supported here"],
  [413, "@too_large", "SIZE_INVALID", "the manifest is too large"],
  [500, "@failed", "UNKNOWN", "the request failed in the front"],
  [502, "@unavailable", "UNAVAILABLE", "no registry can be reached, try again in a moment", 503],
] as const;

function headersAndErrors(): string {
  const more: Record<number, string> = { 400: "400 414 494 495 496 497", 502: "502 503 504" };
  return lines(
    "add_header Strict-Transport-Security 'max-age=63072000' always;",
    "add_header Docker-Distribution-Api-Version $api_version always;",
    "add_header WWW-Authenticate $challenge always;",
    "add_header Retry-After $retry_after always;",
    "",
    ...errors.map(
      ([status, name, , , as]) => `error_page ${more[status] ?? status} ${as ? `=${as} ` : ""}${name};`,
    ),
    "",
    ...errors.flatMap(([status, name, code, message, as]) =>
      errorLocation(name, as ?? status, code, message),
    ),
    ...errorLocation("@denied", 403, "DENIED", "requested access to the resource is denied"),
  );
}

function errorLocation(name: string, status: number, code: string, message: string): string[] {
  const body = JSON.stringify({ errors: [{ code, message, detail: null }] });
  return [`location ${name} {`, `    return ${status} '${body}';`, "}"];
}

/** For the node itself and its neighbours: whether this nginx runs, and whether it reaches a registry that works. */
function health(args: Settings): string {
  const access = [
    "access_log off;",
    ...args.health.map((source) => `allow ${word(source, "health source")};`),
    "deny all;",
    "error_page 403 =404 @unknown;",
  ].map((directive) => `    ${directive}`);
  return lines(
    "location = /healthz {",
    ...access,
    "    root /var/empty;",
    "    try_files /none @alive;",
    "}",
    "location @alive {",
    "    access_log off;",
    `    return 200 '{"status":"ok"}';`,
    "}",
    "location = /healthz/registry {",
    ...access,
    "    proxy_pass http://registries/;",
    "    proxy_method GET;",
    "    proxy_pass_request_body off;",
    "    proxy_set_header Connection close;",
    "    proxy_connect_timeout 500ms;",
    "    proxy_read_timeout 1s;",
    "    proxy_next_upstream error timeout http_502 http_503 http_504;",
    "    proxy_next_upstream_timeout 2s;",
    "}",
    "location / {",
    "    return 404;",
    "}",
  );
}

/** Password first, then the rights, then the location for what is asked for. */
function entry(args: Settings): string {
  const check = [
    "    auth_request /-/password;",
    "    root /var/empty;",
    "    # Evaluated after the password was checked, so $remote_user is who they say.",
    "    try_files /none @$registry_route;",
  ];
  return lines(
    "location = /v2 {",
    "    return 301 /v2/;",
    "}",
    "location /v2/ {",
    ...check,
    "}",
    "location ~ ^/v2/.+/manifests/[^/]+$ {",
    "    client_max_body_size 5m;",
    ...check,
    "}",
    "location = /-/password {",
    "    internal;",
    `    proxy_pass http://unix:${args.run}/password.sock:/;`,
    "    proxy_pass_request_headers off;",
    "    proxy_pass_request_body off;",
    "    proxy_set_header Authorization $http_authorization;",
    "    proxy_set_header X-Client $remote_addr;",
    "    proxy_cache passwords;",
    "    proxy_cache_key $credential;",
    "    proxy_cache_valid 204 30s;",
    "    proxy_cache_lock on;",
    "}",
  );
}

function kinds(args: Settings): string {
  return [
    kind(["base", "catalog", "tags", "referrers"], quick),
    kind(["manifest"], manifests),
    kind(["blob"], blobs),
    kind(["upload"], uploads(args.proxyTimeoutSeconds ?? 900)),
  ].join("");
}

const quick = ["proxy_read_timeout 15s;"];
/** Small, and the same when repeated: held here, a manifest can be sent to a second registry when the first dies. */
const manifests = ["client_body_buffer_size 128k;", "proxy_read_timeout 15s;"];
const blobs = ["proxy_buffering off;", "proxy_read_timeout 60s;"];

function uploads(timeoutSeconds: number): string[] {
  return [
    "proxy_request_buffering off;",
    "proxy_buffering off;",
    "proxy_set_header Content-Type $upload_content_type;",
    "proxy_send_timeout 120s;",
    `proxy_read_timeout ${timeoutSeconds}s;`,
  ];
}

function kind(names: readonly string[], directives: readonly string[]): string {
  return names.map((name) => lines(`location @${name} {`, ...toRegistry(directives), "}")).join("");
}

function toRegistry(directives: readonly string[]): string[] {
  return [
    "proxy_pass http://registries;",
    "proxy_http_version 1.1;",
    // A kept connection to a host that is gone would be silent until the read timeout; a new one fails in a second.
    "proxy_set_header Connection close;",
    "proxy_set_header Host $http_host;",
    "proxy_set_header Authorization '';",
    "proxy_set_header X-Forwarded-For $remote_addr;",
    "proxy_set_header X-Forwarded-Proto $scheme;",
    "proxy_socket_keepalive on;",
    "proxy_connect_timeout 1s;",
    "proxy_next_upstream error timeout http_502 http_503 http_504;",
    "proxy_next_upstream_tries 3;",
    ...directives,
  ].map((directive) => `    ${directive}`);
}
