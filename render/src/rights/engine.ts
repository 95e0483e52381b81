/**
 * Who may do what, decided for every request at the front. These functions run in two places: in tests, and, as the
 * text of each, inside nginx's njs (see script.ts). So each stands on its own: no imports at run time, nothing from
 * outside but each other, and no syntax that njs 0.8 lacks (destructuring, classes, `?.`, `??`, spread).
 */
import type { RegistryUserModel } from "../model";

/** What a request asks for; `undefined` where the path is none of the distribution API's. */
export interface RegistryRequest {
  readonly kind: "base" | "catalog" | "tags" | "referrers" | "manifest" | "blob" | "upload";
  /** Empty for `base` and `catalog`. */
  readonly repository: string;
}

/** `allowed`; `denied`: known and forbidden; `unknown`: no path of the API, or a name it does not have. */
export type Verdict = "allowed" | "denied" | "unknown";

export function isRepositoryName(name: string): boolean {
  const component = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
  return name.length <= 255 && name.split("/").every((part) => component.test(part));
}

/**
 * Reads the path as it came over the wire. Nothing is decoded: a path that needs decoding to be understood (`%2f`,
 * `..`, `//`) could be understood differently by the registry, so it is none of ours.
 */
export function parsePath(path: string): RegistryRequest | undefined {
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
  let kind: RegistryRequest["kind"] | undefined;
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

/**
 * Every value of `name` in a query, decoded as a form; `undefined` when a part cannot be decoded or is not ASCII, or
 * there is a `;`, at which some split: it is then not known what the registry makes of it.
 */
export function queryValues(query: string, name: string): string[] | undefined {
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

export function hasRight(user: RegistryUserModel, repository: string, write: boolean): boolean {
  return user.rights.some((right) => {
    const covers =
      right.prefix === "" ||
      right.prefix === repository ||
      (right.prefix.slice(-1) === "/" && repository.slice(0, right.prefix.length) === right.prefix);
    return covers && (right.access === "write" || !write);
  });
}

/** Every repository, those that are still to be made included. */
export function hasRightToAll(user: RegistryUserModel, write: boolean): boolean {
  return user.rights.some((right) => right.prefix === "" && (right.access === "write" || !write));
}

/** A mount names a second repository to take a blob from, in the query. */
export function mayMount(user: RegistryUserModel, query: string): boolean {
  const sources = queryValues(query, "from");
  return (
    sources !== undefined &&
    sources.every((source) => isRepositoryName(source) && hasRight(user, source, false))
  );
}

export function splitTarget(target: string): string[] {
  const mark = target.indexOf("?");
  return mark < 0 ? [target, ""] : [target.slice(0, mark), target.slice(mark + 1)];
}

export function decide(
  users: readonly RegistryUserModel[],
  name: string,
  method: string,
  target: string,
): Verdict {
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

/** The front's location for a request: `denied`, `unknown`, or `api`, `manifest`, `blob`, `upload`. */
export function routeOf(
  users: readonly RegistryUserModel[],
  name: string,
  method: string,
  target: string,
): string {
  const verdict = decide(users, name, method, target);
  const request = parsePath(splitTarget(target)[0]);
  if (verdict !== "allowed" || request === undefined) {
    return verdict;
  }
  // A manifest that is read has no body, and room for none.
  const own = method === "GET" || method === "HEAD" ? ["blob", "upload"] : ["manifest", "blob", "upload"];
  return own.indexOf(request.kind) < 0 ? "api" : request.kind;
}

/** Empty where a request is about no repository. */
export function repositoryOf(target: string): string {
  const request = parsePath(splitTarget(target)[0]);
  return request === undefined ? "" : request.repository;
}
