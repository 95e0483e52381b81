/**
 * Users' rights and the route of each request. Pure functions for njs 0.8, which has no destructuring, classes, `?.`,
 * `??` or spread.
 *
 * @typedef {{ prefix: string, access: "read" | "write" }} Right what a user may do in the repository `prefix`, in those below
 *   it if it ends in `/`, or in all if it is empty
 * @typedef {{ name: string, rights: Right[] }} User
 * @typedef {{ kind: string, repository: string, reference: string }} Request `repository` is empty for `base` and `catalog`
 */

function isRepositoryName(name) {
  const component = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
  return name.length <= 255 && name.split("/").every((part) => component.test(part));
}

/**
 * Reads the path as it came over the wire. Nothing is decoded: a path that needs decoding to be understood (`%2f`,
 * `..`, `//`) could be understood differently by the registry, so it is unknown.
 *
 * @param {string} path
 * @returns {Request | undefined} `undefined` for a path that the distribution API does not have
 */
function parsePath(path) {
  if (path === "/v2/") {
    return { kind: "base", repository: "", reference: "" };
  }
  if (path === "/v2/_catalog") {
    return { kind: "catalog", repository: "", reference: "" };
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
  return isRepositoryName(repository) ? { kind: kind, repository: repository, reference: last } : undefined;
}

/**
 * Every value of `name` in a query, decoded as a form.
 *
 * @param {string} query
 * @param {string} name
 * @returns {string[] | undefined} `undefined` when a part cannot be decoded or is not ASCII, or there is a `;`, at which
 *   some split: it is then not known what the registry makes of it
 */
function queryValues(query, name) {
  if (!/^(?:[^%;]|%[0-7][0-9A-Fa-f])*$/.test(query)) {
    return undefined;
  }
  const pairs = query.split("&").map((pair) => {
    const equals = pair.indexOf("=");
    return (equals < 0 ? [pair, ""] : [pair.slice(0, equals), pair.slice(equals + 1)]).map((text) =>
      decodeURIComponent(text.replace(/\+/g, " ")),
    );
  });
  return pairs.filter((pair) => pair[0] === name).map((pair) => pair[1]);
}

/** @param {User} user @param {string} repository @param {boolean} write */
function hasRight(user, repository, write) {
  return user.rights.some((right) => {
    const covers =
      right.prefix === "" ||
      right.prefix === repository ||
      (right.prefix.slice(-1) === "/" && repository.slice(0, right.prefix.length) === right.prefix);
    return covers && (right.access === "write" || !write);
  });
}

/** Every repository, those that are still to be made included. */
function hasRightToAll(user, write) {
  return user.rights.some((right) => right.prefix === "" && (right.access === "write" || !write));
}

/** A mount names a second repository to take a blob from, in the query. */
function mayMount(user, query) {
  const sources = queryValues(query, "from");
  return (
    sources !== undefined &&
    sources.every((source) => isRepositoryName(source) && hasRight(user, source, false))
  );
}

/** Path and query. */
function splitTarget(target) {
  const mark = target.indexOf("?");
  return mark < 0 ? [target, ""] : [target.slice(0, mark), target.slice(mark + 1)];
}

/**
 * @param {User[]} users
 * @param {string} name the user's
 * @param {string} method
 * @param {string} target as the request line has it
 * @returns {"allowed" | "denied" | "unknown"} `unknown`: no path of the API, or an invalid repository name
 */
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

/** A digest of the two algorithms that clients use: what it names never changes. */
function isDigest(reference) {
  return /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/.test(reference);
}

/**
 * nginx's location for a request: `denied`, `unknown`, `upload`, `manifest_write`, `blob`, `manifest` and `tag`, which are
 * cached, or `api`.
 */
function routeOf(users, name, method, target) {
  const verdict = decide(users, name, method, target);
  const request = parsePath(splitTarget(target)[0]);
  if (verdict !== "allowed" || request === undefined) {
    return verdict;
  }
  const isGet = method === "GET";
  const reads = isGet || method === "HEAD";
  switch (request.kind) {
    case "upload":
      return "upload";
    case "blob":
      return isGet && isDigest(request.reference) ? "blob" : "api";
    case "manifest":
      if (!reads) {
        return "manifest_write";
      }
      if (!isDigest(request.reference)) {
        return "tag";
      }
      return isGet ? "manifest" : "manifest_head";
    default:
      return "api";
  }
}

/** Names a blob, a manifest or a tag in the cache; empty for all else. */
function contentOf(target) {
  const request = parsePath(splitTarget(target)[0]);
  return request === undefined ? "" : request.kind + "/" + request.repository + "@" + request.reference;
}

/** A flag for each type of manifest that the registry tells apart in the header Accept. */
function acceptedTypes(accept) {
  const types = [
    "docker.distribution.manifest.v2+json",
    "docker.distribution.manifest.list.v2+json",
    "oci.image.manifest.v1+json",
    "oci.image.index.v1+json",
  ];
  return types.map((type) => (accept.indexOf(type) < 0 ? "0" : "1")).join("");
}

export default {
  isRepositoryName,
  parsePath,
  queryValues,
  hasRight,
  decide,
  routeOf,
  contentOf,
  acceptedTypes,
};
