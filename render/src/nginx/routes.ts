/** From a request to a registry: password, rights, and what each kind of request needs. */
import { lines, word } from "../text";
import { errorPages, type WithoutAnswer } from "./answers";
import type { Settings } from "./args";
import { withinLimits } from "./limits";

/** Bytes of a body. A manifest is at most 4 MiB for the registry, and nothing but a manifest or a layer has one. */
const bodies = { none: "64k", manifest: "5m" };

const largestLayer = (args: Settings): string => `${args.largestLayerGibibytes ?? 312}g`;

export function rights(args: Settings): string {
  const path = word(args.rightsPath, "rights path");
  const folder = path.slice(0, path.lastIndexOf("/")) || "/";
  return lines(
    `js_path ${folder};`,
    `js_import rights from ${path};`,
    "js_set $registry_route rights.route;",
    "js_set $registry_affinity rights.affinity;",
    "js_set $credential rights.credential;",
    "js_set $checked_authorization rights.checked;",
    `proxy_cache_path ${args.run}/passwords keys_zone=passwords:1m max_size=16m inactive=1m use_temp_path=off;`,
    "",
    "# A form in a body would outweigh the query when the registry looks for the repository to mount from.",
    "map $http_content_type $body_type {",
    "    default $http_content_type;",
    '    "~*x-www-form-urlencoded|multipart/" application/octet-stream;',
    "}",
    "# An upload's start has no body, and leaves at most a session that nobody uses.",
    'map "$request_method:$http_content_length" $upload_repeated {',
    "    default unavailable;",
    "    POST:0 again;",
    "}",
    "# Nobody that was asked has taken the connection, or seen anything of the request.",
    "map $upstream_connect_time $unseen {",
    "    default unavailable;",
    '    "~^[-, :]+$" again;',
    "}",
    "map $upload_repeated $upload_unseen {",
    "    default unavailable;",
    "    again $unseen;",
    "}",
  );
}

/** Password first, then the rights, then the location for what is asked for. */
export function entry(args: Settings): string {
  const check = (largestBody: string): string[] =>
    [
      `client_max_body_size ${largestBody};`,
      ...withinLimits(args),
      "auth_request /-/password;",
      "root /var/empty;",
      "# Evaluated after the password was checked, so $remote_user is who they say.",
      "try_files /none @$registry_way;",
    ].map((directive) => `    ${directive}`);
  return lines(
    "location = /v2 {",
    "    return 301 /v2/;",
    "}",
    "location /v2/ {",
    ...check(bodies.none),
    "}",
    "location ~ ^/v2/.+/manifests/[^/]+$ {",
    ...check(bodies.manifest),
    "}",
    "location ~ ^/v2/.+/blobs/uploads/[^/]*$ {",
    ...check(largestLayer(args)),
    "}",
    "location = /-/password {",
    "    internal;",
    `    proxy_pass http://unix:${args.run}/password.sock:/;`,
    "    proxy_pass_request_headers off;",
    "    proxy_pass_request_body off;",
    "    # A body that is announced, and stays here, would be waited for in vain.",
    "    proxy_set_header Content-Length '';",
    "    proxy_set_header Authorization $checked_authorization;",
    "    proxy_set_header X-Client $remote_addr;",
    "    proxy_cache passwords;",
    "    proxy_cache_key $credential;",
    "    proxy_cache_valid 204 30s;",
    "    proxy_cache_lock on;",
    "    # Longer than a password may wait for its turn: who asks for the same waits for that answer.",
    "    proxy_cache_lock_timeout 10s;",
    "    proxy_cache_bypass $anonymous;",
    "    proxy_no_cache $anonymous;",
    "}",
  );
}

/** What every request to a registry has in common; set for the whole server, so that no location sets a header alone. */
export function towardsRegistries(): string {
  return lines(
    "proxy_http_version 1.1;",
    "# A kept connection to a host that is gone would be silent until the read timeout. A new one fails so soon that of four",
    "# registries one that is there is asked within two seconds: on a node that is cut off, and on one that was a moment ago.",
    "proxy_set_header Connection close;",
    "proxy_set_header Host $http_host;",
    "proxy_set_header Authorization '';",
    "proxy_set_header Content-Type $body_type;",
    "proxy_set_header X-Forwarded-For $remote_addr;",
    "proxy_set_header X-Forwarded-Proto $scheme;",
    "proxy_socket_keepalive on;",
    "proxy_connect_timeout 400ms;",
    "proxy_next_upstream error timeout http_500 http_502 http_503 http_504;",
    "proxy_next_upstream_tries 4;",
    "proxy_read_timeout 15s;",
  );
}

/**
 * One location for each route of the rule engine. The location that a request came in by measures a body by its
 * Content-Length, and the one here what comes in chunks.
 */
export function routes(args: Settings): string {
  const body = (largest: string): string => `client_max_body_size ${largest};`;
  return [
    route("api", repeatable, body(bodies.none)),
    // Small, and the same when repeated: held here, a manifest can go to a second registry when the first dies.
    route("manifest", repeatable, body(bodies.manifest), "client_body_buffer_size 128k;"),
    route("blob", repeatable, body(bodies.none), "proxy_buffering off;", layersWithin),
    // The end of an upload copies the layer inside the store, and is answered after that.
    route(
      "upload",
      { nobody: "@$upload_repeated", silent: "@$upload_unseen" },
      body(largestLayer(args)),
      "proxy_request_buffering off;",
      "proxy_buffering off;",
      "proxy_send_timeout 120s;",
      `proxy_read_timeout ${args.proxyTimeoutSeconds ?? 900}s;`,
    ),
    again(),
  ].join("");
}

/** What can be asked again as it is. */
const repeatable: WithoutAnswer = { nobody: "@again", silent: "@$unseen" };

const layersWithin = "proxy_read_timeout 60s;";

function route(name: string, without: WithoutAnswer, ...directives: string[]): string {
  const all = [
    "proxy_pass http://$registry;",
    ...directives,
    "recursive_error_pages on;",
    ...errorPages(without),
  ];
  return location(name, all);
}

/** What can be sent again, and has its body here. */
function again(): string {
  return lines(
    "# An upstream whose names were resolved anew while a request was on its way takes that request nowhere else:",
    "# nginx finds no live server in it. From the start again, it goes to those that are there now. So does one for which all",
    "# were silent: of more registries than are tried, looks know by then which are there.",
    location("again", [
      "proxy_pass http://$registry_again;",
      "proxy_buffering off;",
      layersWithin,
      ...errorPages(),
    ]).trimEnd(),
  );
}

function location(name: string, directives: readonly string[]): string {
  return lines(`location @${name} {`, ...directives.map((directive) => `    ${directive}`), "}");
}
