/** The front: TLS, users and rights, and the way to a registry that answers. */
import { indent, lines, urlHost, word } from "../text";
import { answerHeaders } from "./answers";
import type { NginxArgs, Settings } from "./args";
import { addressLimits } from "./limits";
import { loginLimits, passwordServer } from "./password";
import { balancers } from "./quorum";
import { upstreams } from "./pick";
import { rights } from "./routes";
import { registryServer } from "./server";

export type { NginxArgs, RegistryBackend } from "./args";
export { pickOf, pickScript, pickScriptName } from "./pick";
export { unknownUserEntry } from "./password";
export { nginxCommand, nginxHealthTest, nginxStart, nodeSourcePath } from "./start";

export function renderNginx(args: NginxArgs): string {
  const settings: Settings = { ...args, run: word(args.runPath ?? "/tmp", "run path") };
  return [
    mainContext(settings),
    `http {\n${indent(
      [
        httpBasics(settings),
        rights(settings),
        addressLimits(settings),
        loginLimits(),
        answerHeaders(),
        upstreams(settings),
        balancers(settings),
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
    "# Who is too slow is reset: a connection that is closed in order keeps its buffers until the other side agrees.",
    "reset_timedout_connection on;",
    "large_client_header_buffers 4 16k;",
    "# A user's name may have 63 characters.",
    "map_hash_bucket_size 128;",
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
