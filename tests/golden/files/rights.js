// Users and rights of the registry. users.js beside it says who they are.
import crypto from "crypto";
import fs from "fs";
import users from "users.js";

// Refusals of an address, without two minutes' pause between them, after which it counts as guessing.
const guesses = 10;

function isRepositoryName(name) {
    const component = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
    return name.length <= 255 && name.split("/").every((part) => component.test(part));
}

function parsePath(path) {
    if (path === "/v2/") {
        return { kind: "base", repository: "" };
    }
    if (path === "/v2/_catalog") {
        return { kind: "catalog", repository: "" };
    }
    if (path.slice(0, 4) !== "/v2/") {
        return undefined;
    }
    const parts = path.slice(4).split("/");
    const last = parts[parts.length - 1];
    // As the registry's own routes have it: a malformed digest gets the registry's own answer.
    const digest = /^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$/;
    let kind;
    let taken = 2;
    switch (parts[parts.length - 2]) {
        case "manifests":
            kind = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/.test(last) || digest.test(last) ? "manifest" : undefined;
            break;
        case "blobs":
            kind = digest.test(last) ? "blob" : undefined;
            break;
        case "referrers":
            kind = digest.test(last) ? "referrers" : undefined;
            break;
        case "tags":
            kind = last === "list" ? "tags" : undefined;
            break;
        case "uploads":
            kind = parts[parts.length - 3] === "blobs" && /^[A-Za-z0-9_.=-]*$/.test(last) ? "upload" : undefined;
            taken = 3;
            break;
    }
    if (kind === undefined || last === "." || last === "..") {
        return undefined;
    }
    const repository = parts.slice(0, parts.length - taken).join("/");
    return isRepositoryName(repository) ? { kind: kind, repository: repository } : undefined;
}

function queryValues(query, name) {
    if (!/^(?:[^%;]|%[0-7][0-9A-Fa-f])*$/.test(query)) {
        return undefined;
    }
    const pairs = query.split("&").map((pair) => {
        const equals = pair.indexOf("=");
        return (equals < 0 ? [pair, ""] : [pair.slice(0, equals), pair.slice(equals + 1)]).map((text) => decodeURIComponent(text.replace(/\+/g, " ")));
    });
    return pairs.filter((pair) => pair[0] === name).map((pair) => pair[1]);
}

function hasRight(user, repository, write) {
    return user.rights.some((right) => {
        const covers = right.prefix === "" ||
            right.prefix === repository ||
            (right.prefix.slice(-1) === "/" && repository.slice(0, right.prefix.length) === right.prefix);
        return covers && (right.access === "write" || !write);
    });
}

function hasRightToAll(user, write) {
    return user.rights.some((right) => right.prefix === "" && (right.access === "write" || !write));
}

function mayMount(user, query) {
    const sources = queryValues(query, "from");
    return (sources !== undefined &&
        sources.every((source) => isRepositoryName(source) && hasRight(user, source, false)));
}

function splitTarget(target) {
    const mark = target.indexOf("?");
    return mark < 0 ? [target, ""] : [target.slice(0, mark), target.slice(mark + 1)];
}

function decide(users, name, method, target) {
    const parts = splitTarget(target);
    const request = parsePath(parts[0]);
    if (request === undefined) {
        return "unknown";
    }
    const user = users.filter((candidate) => candidate.name === name)[0];
    if (user === undefined) {
        return "denied";
    }
    const write = (method !== "GET" && method !== "HEAD") || request.kind === "upload";
    switch (request.kind) {
        case "base":
            return "allowed";
        case "catalog":
            return hasRightToAll(user, write) ? "allowed" : "denied";
        case "upload":
            return hasRight(user, request.repository, true) && mayMount(user, parts[1]) ? "allowed" : "denied";
        default:
            return hasRight(user, request.repository, write) ? "allowed" : "denied";
    }
}

function routeOf(users, name, method, target) {
    const verdict = decide(users, name, method, target);
    const request = parsePath(splitTarget(target)[0]);
    if (verdict !== "allowed" || request === undefined) {
        return verdict;
    }
    // A manifest that is read has no body, and room for none.
    const own = method === "GET" || method === "HEAD" ? ["blob", "upload"] : ["manifest", "blob", "upload"];
    return own.indexOf(request.kind) < 0 ? "api" : request.kind;
}

function repositoryOf(target) {
    const request = parsePath(splitTarget(target)[0]);
    return request === undefined ? "" : request.repository;
}

function route(r) {
  return routeOf(users, r.variables.remote_user || "", r.method, r.variables.request_uri);
}

/** What picks a registry: its repository, so that one replica's cache sees all of it. */
function affinity(r) {
  return repositoryOf(r.variables.request_uri) || r.variables.request_id;
}

/**
 * Stands for the credentials in the cache of checked passwords: for what nginx reads in the header, however that is
 * written. It reads base64 until the first "=", and the password until the first zero byte.
 */
function credential(r) {
  const header = r.variables.http_authorization || "";
  const encoded = /^basic +([A-Za-z0-9+\/]+)(?:=|$)/i.exec(header);
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
  return !name || users.some(exists) ? r.variables.http_authorization : "Basic LTot";
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
  const line = fs.readFileSync(file, "utf8").split("\n").filter(ofUser)[0];
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

export default { route, affinity, credential, checked, writer, attempt, guess, accepted, previous, current, refused };
