/**
 * Whether the store can be written to, and read. Without its quorum for that a registry fails late and variously; here what
 * would write is turned away before its body is read, what would read at once, and what the store can do goes on.
 */
import { lines, word } from "../text";
import { balancerQuorumPaths, quorums, type Quorum } from "../s3-balancer";
import { noPath } from "./answers";
import type { Settings } from "./args";

export function balancers(args: Settings): string {
  return lines(
    "upstream balancers {",
    "    # For some hundreds of them.",
    "    zone balancers 1m;",
    "    # To nginx a refusal is a failure: if failures counted, nobody would be left who could refuse again.",
    ...args.balancers.map(
      ({ name, port }) => `    server ${word(name, "balancer's name")}:${port} resolve max_fails=0;`,
    ),
    "}",
    `proxy_cache_path ${args.run}/quorum keys_zone=quorum:64k max_size=1m inactive=1m use_temp_path=off;`,
    "# The location that a request goes to once its right is known. For /v2/ itself no registry asks the store.",
    'map "$request_method $registry_route $request_uri" $registry_way {',
    "    default $registry_route;",
    '    "~^(?:POST|PUT|PATCH|DELETE) (?:api|manifest|blob|upload) " write;',
    '    "~^(?:GET|HEAD) (?:api /v2/[^?]|blob |upload )" read;',
    "}",
  );
}

/**
 * A balancer that says yes is believed, and one that says no where nobody says yes: the one of a node that was cut off
 * says no for a moment more. Balancers that are silent, or reach no member, are no reason to hold a request up. The answer is
 * kept for a second or two. 403 is how `auth_request` is told of a refusal.
 */
export function quorumLocations(args: Settings): string {
  return lines(
    ...quorums.flatMap((quorum) => check(quorum, args)),
    "location @quorum {",
    "    # To a client this location does not exist.",
    `    if ($registry_way !~ "^(?:${quorums.join("|")})$") {`,
    `        return 404 '${noPath}';`,
    "    }",
    "    # Whoever was asked last is not the only one that was asked.",
    '    if ($upstream_status ~ "503") {',
    "        return 403;",
    "    }",
    "    return 204;",
    "}",
    "location @no_quorum {",
    "    return 403;",
    "}",
  );
}

function check(quorum: Quorum, args: Settings): string[] {
  return [
    `location @${quorum} {`,
    `    auth_request /-/quorum/${quorum};`,
    `    error_page 403 =503 @no_${quorum};`,
    "    error_page 500 @failed;",
    "    root /var/empty;",
    "    try_files /none @$registry_route;",
    "}",
    `location = /-/quorum/${quorum} {`,
    "    internal;",
    `    proxy_pass http://balancers${balancerQuorumPaths[quorum]};`,
    "    proxy_pass_request_headers off;",
    "    proxy_pass_request_body off;",
    "    proxy_set_header Content-Length '';",
    "    proxy_set_header Connection close;",
    "    proxy_connect_timeout 300ms;",
    "    proxy_read_timeout 500ms;",
    "    proxy_next_upstream error timeout invalid_header http_503 http_504;",
    "    proxy_next_upstream_timeout 1s;",
    "    # All of them: the server's own limit is one for registries.",
    `    proxy_next_upstream_tries ${args.balancers.length};`,
    "    proxy_cache quorum;",
    `    proxy_cache_key ${quorum};`,
    "    # Of any other answer it would not be known who else was asked.",
    "    proxy_cache_valid 200 503 1s;",
    "    # Of requests that come at once, one asks.",
    "    proxy_cache_use_stale updating;",
    "    proxy_intercept_errors on;",
    "    error_page 503 = @no_quorum;",
    "    error_page 400 401 403 404 405 429 500 502 504 = @quorum;",
    "}",
  ];
}
