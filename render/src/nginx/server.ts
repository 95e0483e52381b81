/** The server that clients reach. */
import { indent, lines, word } from "../text";
import { headersAndErrors } from "./answers";
import type { Settings } from "./args";
import { addressesOfFronts, passwordQuestion } from "./password";
import { looks } from "./pick";
import { quorumLocations } from "./quorum";
import { entry, routes, towardsRegistries } from "./routes";
import { leavingPath, nodeSourcePath } from "./start";

export function registryServer(args: Settings): string {
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
    indent(towardsRegistries(), 4),
    indent(health(args), 4),
    indent(looks(), 4),
    indent(entry(args), 4),
    indent(quorumLocations(args), 4),
    indent(routes(args), 4).trimEnd(),
    "}",
  );
}

/**
 * Mozilla's intermediate configuration, version 5.7, without its ciphers with DHE: they want an RSA certificate, and
 * parameters that take long to make, for clients that are older than the others it lets in.
 */
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

/** For the node itself and its neighbours: whether this nginx runs, and whether it reaches a registry that works. */
function health(args: Settings): string {
  const node = `include ${nodeSourcePath(args.run)};`;
  const access = onlyFor([allow("127.0.0.1"), node, ...(args.healthFrom ?? []).map(allow)]);
  return lines(
    "location = /healthz {",
    ...access,
    "    root /var/empty;",
    "    try_files /none @alive;",
    "}",
    "location @alive {",
    "    access_log off;",
    "    # On its way out: keepalived takes the VIP away before the last connection is refused.",
    `    if (-f ${leavingPath(args.run)}) {`,
    "        return 503;",
    "    }",
    `    return 200 '{"status":"ok"}';`,
    "}",
    "location = /healthz/registry {",
    ...access,
    "    proxy_pass http://$registry/;",
    "    proxy_method GET;",
    "    proxy_pass_request_body off;",
    "    proxy_set_header Connection close;",
    "    # All of four within what the check waits for an answer.",
    "    proxy_connect_timeout 300ms;",
    "    proxy_read_timeout 1s;",
    "    proxy_next_upstream error timeout http_502 http_503 http_504;",
    "    proxy_next_upstream_timeout 2s;",
    "}",
    "# From other fronts: whether what is a former password with them is the one of now here.",
    "location = /healthz/password {",
    ...onlyFor(addressesOfFronts(args).map(allow)),
    ...passwordQuestion(args).map((directive) => `    ${directive}`),
    "}",
    "location / {",
    "    return 404;",
    "}",
  );
}

const allow = (source: string): string => `allow ${word(source, "source")};`;

/** For all others a location does not exist. */
function onlyFor(sources: readonly string[]): string[] {
  return ["access_log off;", ...sources, "deny all;", "error_page 403 =404 @unknown;"].map(
    (directive) => `    ${directive}`,
  );
}
