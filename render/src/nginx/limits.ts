/** What one address and one user may ask of the front. Behind it there may be a whole site, so it is much. */
import { lines } from "../text";
import type { Settings } from "./args";

const seconds = { atOnce: 5, slowed: 5 };

const rate = (args: Settings): number => args.requestsPerSecond ?? 200;

export function addressLimits(args: Settings): string {
  return lines(
    "limit_conn_zone $binary_remote_addr zone=connections:4m;",
    "# A body is spooled here or buffered by a registry: who sends many takes much memory.",
    "js_set $writer rights.writer;",
    "limit_conn_zone $writer zone=writes:1m;",
    `limit_req_zone $binary_remote_addr zone=requests:4m rate=${rate(args)}r/s;`,
    "limit_conn_status 429;",
    "limit_req_status 429;",
    "limit_conn_log_level info;",
    "limit_req_log_level info;",
  );
}

/** For the locations of the API. The node's own health is never refused. */
export function withinLimits(args: Settings): string[] {
  const atOnce = rate(args) * seconds.atOnce;
  return [
    `limit_conn connections ${args.connectionsPerAddress ?? 1024};`,
    `limit_conn writes ${args.writesPerUser ?? 32};`,
    `limit_req zone=requests burst=${atOnce + rate(args) * seconds.slowed} delay=${atOnce};`,
  ];
}
