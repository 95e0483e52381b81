/** Passwords: checked in a server of their own, and remembered. */
import { unknownUser } from "../rights/script";
import { indent, lines, word } from "../text";
import type { Settings } from "./args";

/**
 * A line of the file of users, for `rights.checked`: at the cost of generated passwords' hashes. No password is known that
 * has this hash.
 */
export const unknownUserEntry = `${unknownUser}:$2a$10$${".".repeat(53)}\n`;

/**
 * A password that is not known yet costs a bcrypt, and is how passwords are guessed. One that was right within a day is
 * never held back, whatever else comes from its address; an address that guesses is held back further.
 */
export function loginLimits(): string {
  return lines(
    "# Nobody's password: what is never remembered must not wait for others that ask for the same.",
    `map $http_authorization $anonymous {`,
    `    "" 1;`,
    `    default "";`,
    "}",
    "js_shared_dict_zone zone=good_logins:1m timeout=24h type=number evict;",
    "js_shared_dict_zone zone=refused_logins:1m timeout=2m type=number evict;",
    "js_set $login_attempt rights.attempt;",
    "js_set $login_guess rights.guess;",
    "limit_req_zone $login_attempt zone=logins:1m rate=5r/s;",
    "limit_req_zone $login_guess zone=guesses:1m rate=20r/m;",
    "# A worker does nothing else while it checks a password, of a user with a previous one it checks two. Those of all addresses",
    "# together are checked two at once, then two a second, so that health checks get their turn; others wait for eight",
    "# seconds at most, or are refused.",
    "map $login_attempt $password_check {",
    '    "" "";',
    "    default all;",
    "}",
    "limit_req_zone $password_check zone=checks:32k rate=2r/s;",
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
    ...endsOfPrevious(args),
    "server {",
    `    listen unix:${args.run}/password.sock;`,
    "    access_log off;",
    "    limit_req zone=logins burst=40 delay=10;",
    "    limit_req zone=guesses burst=5 nodelay;",
    "    limit_req zone=checks burst=16 delay=1;",
    "    error_page 429 =401 @throttled;",
    `    auth_basic "Registry";`,
    `    auth_basic_user_file ${word(args.htpasswdPath, "htpasswd path")};`,
    `    error_page 401 ${previous === undefined ? "=403 @refused" : "= @previous"};`,
    "    recursive_error_pages on;",
    "    location / {",
    "        js_content rights.accepted;",
    "    }",
    previous !== undefined && indent(previousPasswords(args, previous), 4).trimEnd(),
    "    location @refused {",
    "        auth_basic off;",
    "        js_content rights.refused;",
    "    }",
    "    location @throttled {",
    "        return 401 throttled;",
    "    }",
    "}",
  );
}

/** A user may be called what a map takes for an option of its own. */
function endsOfPrevious({ previousUntil }: Settings): string[] {
  if (previousUntil === undefined) return [];
  return [
    "# Until when the password that a user had before the last change is right.",
    'map "user:$remote_user" $previous_until {',
    "    default 0;",
    ...Object.entries(previousUntil).map(([user, until]) => `    "user:${word(user, "user")}" ${until};`),
    "}",
    "",
  ];
}

/** Where passwords go that are not the ones of now. */
function previousPasswords(args: Settings, file: string): string {
  return lines(
    "location @previous {",
    `    auth_basic_user_file ${word(file, "previous htpasswd path")};`,
    "    error_page 401 =403 @refused;",
    args.previousUntil === undefined && '    set $previous_until "";',
    `    set $previous_file ${word(file, "previous htpasswd path")};`,
    `    set $fronts "${fronts(args).join(" ")}";`,
    "    # They show a certificate for their names, if for their addresses at all, and are told a digest alone.",
    "    js_fetch_verify off;",
    "    js_fetch_timeout 1s;",
    "    js_content rights.previous;",
    "}",
  );
}

const fronts = (args: Settings): string[] => (args.fronts ?? []).map((front) => word(front, "front"));

/** By which fronts ask each other. */
export const addressesOfFronts = (args: Settings): string[] =>
  fronts(args).map((front) => front.slice(0, front.lastIndexOf(":")));

/** The question that fronts ask each other, whether a former password is still the only one that one of them has. */
export function passwordQuestion(args: Settings): string[] {
  return [`set $users_file ${word(args.htpasswdPath, "htpasswd path")};`, "js_content rights.current;"];
}
