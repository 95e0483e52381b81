import type { RegistryUserModel } from "../model";
import {
  decide,
  hasRight,
  hasRightToAll,
  isRepositoryName,
  mayMount,
  parsePath,
  queryValues,
  repositoryOf,
  routeOf,
  splitTarget,
} from "./engine";

/** The user in whose place one who does not exist is checked: no user of the registry can have that name. */
export const unknownUser = "-";
const unknownUserHeader = `Basic ${Buffer.from(`${unknownUser}:-`).toString("base64")}`;

/** Name of the users' module beside the script. */
export const rightsDataName = "users.js";

const engine = [
  isRepositoryName,
  parsePath,
  queryValues,
  hasRight,
  hasRightToAll,
  mayMount,
  splitTarget,
  decide,
  routeOf,
  repositoryOf,
];

/** Functions of the module for whose password is right, was right, or is guessed. */
const logins = `/**
 * Stands for the credentials in the cache of checked passwords: for what nginx reads in the header, however that is
 * written. It reads base64 until the first "=", and the password until the first zero byte.
 */
function credential(r) {
  const header = r.variables.http_authorization || "";
  const encoded = /^basic +([A-Za-z0-9+\\/]+)(?:=|$)/i.exec(header);
  if (!encoded || encoded[1].length % 4 === 1) {
    return "none-" + crypto.createHash("sha256").update(header).digest("hex");
  }
  const decoded = Buffer.from(encoded[1], "base64");
  const end = decoded.indexOf(0);
  const credentials = end < 0 ? decoded : decoded.slice(0, end);
  return crypto.createHash("sha256").update(credentials).digest("hex");
}

/** What is checked: for a user who does not exist, the password of a user whom nobody can be, as that takes as long. */
function checked(r) {
  const name = r.variables.remote_user;
  const exists = (user) => user.name === name;
  return !name || users.some(exists) ? r.variables.http_authorization : "${unknownUserHeader}";
}

/**
 * Whose writes are counted together: a user's, or an address's whose password is not known to be right. Nobody's are those
 * that only read; with a body, they do not.
 */
function writer(r) {
  if ((r.method === "GET" || r.method === "HEAD") && !(r.variables.content_length > 0)) {
    return "";
  }
  const isKnown = ngx.shared.good_logins.has(credential(r));
  return isKnown ? "user " + r.variables.remote_user : "address " + r.variables.remote_addr;
}

/** Who is held back for a password: the address, and nobody for none, or for one that was right before. */
function attempt(r) {
  const password = r.variables.http_authorization;
  return !password || ngx.shared.good_logins.has(credential(r)) ? "" : r.variables.http_x_client;
}

/** The same, for an address that has been refused often. */
function guess(r) {
  const address = attempt(r);
  return address && (ngx.shared.refused_logins.get(address) || 0) >= guesses ? address : "";
}

function accepted(r) {
  ngx.shared.good_logins.set(credential(r), 1);
  r.return(204);
}

/** The password before the last change: it is right until its time is over, and while a front knows no other. */
function previous(r) {
  if (Date.now() < (r.variables.previous_until || Infinity) * 1000) {
    accepted(r);
  } else {
    isCurrentElsewhere(r).then((is) => (is ? accepted(r) : refused(r)));
  }
}

/** A front that does not answer accepts nothing itself, so it is no reason to. */
function isCurrentElsewhere(r) {
  const user = r.variables.remote_user;
  const query = "user=" + user + "&digest=" + digestOf(r.variables.previous_file, user);
  const ask = (front) =>
    ngx.fetch("https://" + front + "/healthz/password?" + query).then((answer) => answer.status, () => 0);
  const fronts = r.variables.fronts.split(" ").filter((front) => front);
  return Promise.all(fronts.map(ask)).then((statuses) => statuses.indexOf(204) >= 0);
}

/** For another front, by a digest: whether a password is the one of now here. */
function current(r) {
  const digest = digestOf(r.variables.users_file, r.args.user || "");
  r.return(digest !== "" && digest === r.args.digest ? 204 : 404);
}

/** Stands for a user's password in a file of hashes; empty where the user is not in it. */
function digestOf(file, user) {
  const ofUser = (line) => line.slice(0, user.length + 1) === user + ":";
  const line = fs.readFileSync(file, "utf8").split("\\n").filter(ofUser)[0];
  return line ? crypto.createHash("sha256").update(line).digest("hex") : "";
}

/** A request without a password is how every client begins. */
function refused(r) {
  if (r.variables.http_authorization) {
    ngx.shared.good_logins.delete(credential(r));
    // Set and not counted up: that would leave the entry's end where it is.
    const address = r.variables.http_x_client;
    ngx.shared.refused_logins.set(address, (ngx.shared.refused_logins.get(address) || 0) + 1);
  }
  r.return(403, "wrong");
}
`;

/**
 * The rule engine as a module for njs. Its functions are the text of the compiled ones, so what the unit tests call is
 * what nginx runs.
 */
export function rightsScript(): string {
  return `// Users and rights of the registry. ${rightsDataName} beside it says who they are.
import crypto from "crypto";
import fs from "fs";
import users from "${rightsDataName}";

// Refusals of an address, without two minutes' pause between them, after which it counts as guessing.
const guesses = 10;

${engine.map((part) => part.toString()).join("\n\n")}

function route(r) {
  return routeOf(users, r.variables.remote_user || "", r.method, r.variables.request_uri);
}

/** What picks a registry: its repository, so that one replica's cache sees all of it. */
function affinity(r) {
  return repositoryOf(r.variables.request_uri) || r.variables.request_id;
}

${logins}
export default { route, affinity, credential, checked, writer, attempt, guess, accepted, previous, current, refused };
`;
}

/** The users' module: their rights, without passwords. */
export function renderRights(users: readonly RegistryUserModel[]): string {
  const entries = users.map((user) => `  ${JSON.stringify({ name: user.name, rights: user.rights })},\n`);
  return `export default [\n${entries.join("")}];\n`;
}
