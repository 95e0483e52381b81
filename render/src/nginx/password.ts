/** Passwords: checked in a server of their own, and remembered. */
import { lines, word } from "../text";
import type { Settings } from "./args";

/** Requests with credentials that are not known yet cost a bcrypt, and are how passwords are guessed. */
export function loginLimits(): string {
  return lines(
    "map $http_authorization $login_attempt {",
    `    "" "";`,
    "    default $http_x_client;",
    "}",
    "limit_req_zone $login_attempt zone=logins:1m rate=5r/s;",
    "limit_req_log_level info;",
  );
}

/**
 * bcrypt is slow on purpose: each password is checked here once in 30 s, the answer is kept at the caller's.
 * 403 says that it is wrong and 401 that there were too many: `auth_request` passes these two on, and copies the
 * challenge of a 401, of which the client would then see two.
 */
export function passwordServer(args: Settings): string {
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
