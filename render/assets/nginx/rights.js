/** nginx's variables and handlers: routes by rights, and whose password is right, was right, or is guessed. */
import crypto from "crypto";
import fs from "fs";
import engine from "engine.js";
import users from "users.js";

/** Refusals of an address, without two minutes' pause between them, after which it counts as guessing. */
const guesses = 10;

/** A user whom nobody can be, with a hash that no password has. */
const unknownUserHeader = "Basic " + Buffer.from("-:-").toString("base64");

function route(r) {
  return engine.routeOf(users, r.variables.remote_user || "", r.method, r.variables.request_uri);
}

function content(r) {
  return engine.contentOf(r.variables.request_uri);
}

function acceptedTypes(r) {
  return engine.acceptedTypes(r.variables.http_accept || "");
}

/**
 * The credentials' key in the cache of checked passwords: by what nginx reads in the header, however that is written. It
 * reads base64 until the first "=", and the password until the first zero byte.
 */
function credential(r) {
  const header = r.variables.http_authorization || "";
  const encoded = /^basic +([A-Za-z0-9+/]+)(?:=|$)/i.exec(header);
  if (!encoded || encoded[1].length % 4 === 1) {
    return "none-" + crypto.createHash("sha256").update(header).digest("hex");
  }
  const decoded = Buffer.from(encoded[1], "base64");
  const end = decoded.indexOf(0);
  const credentials = end < 0 ? decoded : decoded.slice(0, end);
  return crypto.createHash("sha256").update(credentials).digest("hex");
}

/** For a user who does not exist, the password of one whom nobody can be is checked, as that takes as long. */
function checked(r) {
  const name = r.variables.remote_user;
  const exists = (user) => user.name === name;
  return !name || users.some(exists) ? r.variables.http_authorization : unknownUserHeader;
}

/**
 * Whose writes are counted together: a user's, or an address's whose password is not known to be right. Requests that
 * only read count for nobody, unless they have a body.
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

/** The password before the last change. Its end is in seconds since 1970. */
function previous(r) {
  const ends = JSON.parse(fs.readFileSync(r.variables.previous_ends, "utf8"));
  if (Date.now() / 1000 < (ends[r.variables.remote_user] || 0)) {
    accepted(r);
  } else {
    refused(r);
  }
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

export default {
  route,
  content,
  acceptedTypes,
  credential,
  checked,
  writer,
  attempt,
  guess,
  accepted,
  previous,
  refused,
};
