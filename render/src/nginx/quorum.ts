/**
 * Whether the store can be written to. Without its write quorum a registry fails late and variously; here what would
 * write is turned away before its body is read, and what reads goes on.
 */
import { lines, word } from "../text";
import { balancerWritablePath } from "../s3-balancer";
import { noPath } from "./answers";
import type { Settings } from "./args";

export function balancers(args: Settings): string {
  return lines(
    "upstream balancers {",
    "    zone balancers 64k;",
    ...args.balancers.map(
      ({ name, port }) =>
        `    server ${word(name, "balancer's name")}:${port} resolve max_fails=1 fail_timeout=2s;`,
    ),
    "}",
    `proxy_cache_path ${args.run}/quorum keys_zone=quorum:64k max_size=1m inactive=1m use_temp_path=off;`,
    "# The location that a request goes to once its right is known.",
    'map "$request_method $registry_route" $registry_way {',
    "    default $registry_route;",
    '    "~^(?:POST|PUT|PATCH|DELETE) (?:api|manifest|blob|upload)$" write;',
    "}",
  );
}

/**
 * The first balancer that reaches a member is believed, and its 503 alone holds a write up: balancers that are silent, or
 * reach none, are no reason. The answer is kept for a second or two. 403 is how `auth_request` is told of a refusal.
 */
export function writes(args: Settings): string {
  return lines(
    "location @write {",
    "    auth_request /-/quorum;",
    "    error_page 403 =503 @read_only;",
    "    error_page 500 @failed;",
    "    root /var/empty;",
    "    try_files /none @$registry_route;",
    "}",
    "location = /-/quorum {",
    "    internal;",
    `    proxy_pass http://balancers${balancerWritablePath};`,
    "    proxy_pass_request_headers off;",
    "    proxy_pass_request_body off;",
    "    proxy_set_header Content-Length '';",
    "    proxy_set_header Connection close;",
    "    proxy_connect_timeout 300ms;",
    "    proxy_read_timeout 500ms;",
    "    proxy_next_upstream error timeout invalid_header http_504;",
    "    proxy_next_upstream_timeout 1s;",
    "    # All of them: the server's own limit is one for registries.",
    `    proxy_next_upstream_tries ${args.balancers.length};`,
    "    proxy_cache quorum;",
    "    proxy_cache_key quorum;",
    "    proxy_cache_valid any 1s;",
    "    proxy_intercept_errors on;",
    "    error_page 503 = @no_quorum;",
    "    error_page 400 401 403 404 405 429 500 502 504 = @quorum;",
    "}",
    "location @quorum {",
    "    # To a client this location does not exist.",
    "    if ($registry_way != write) {",
    `        return 404 '${noPath}';`,
    "    }",
    "    return 204;",
    "}",
    "location @no_quorum {",
    "    return 403;",
    "}",
  );
}
