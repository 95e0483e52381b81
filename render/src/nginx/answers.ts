/** Answers that nginx gives itself, in the form the distribution API gives them. */
import type { Quorum } from "../s3-balancer";
import { lines } from "../text";

/** Headers of answers made here; what a registry says itself passes unchanged. */
export function answerHeaders(): string {
  return lines(
    "map $status $retry_after {",
    `    default "";`,
    "    429 1;",
    "    503 5;",
    "}",
    "map $status $challenge {",
    `    default "";`,
    `    401 'Basic realm="Registry"';`,
    "}",
    "map $upstream_http_docker_distribution_api_version $api_version {",
    `    default "";`,
    `    "" registry/2.0;`,
    "}",
  );
}

const unknownPath = "no path of the registry, or no valid repository name";

const errors = [
  // By a path: a request that was not read has none yet, and named locations want one.
  [400, "/-/bad_request", "UNSUPPORTED", "the request cannot be understood"],
  [401, "@throttled", "TOOMANYREQUESTS", "too many login attempts, try again in a moment", 429],
  [403, "@unauthorized", "UNAUTHORIZED", "authentication required", 401],
  [404, "@unknown", "NAME_INVALID", unknownPath],
  [405, "@unsupported", "UNSUPPORTED", "the method is not supported here"],
  [413, "@too_large", "SIZE_INVALID", "the manifest or layer is too large"],
  [
    429,
    "@busy",
    "TOOMANYREQUESTS",
    "too many requests from this address, or uploads of this user at once, try again in a moment",
  ],
  [500, "@failed", "UNKNOWN", "the request failed in the front"],
  [502, "@unavailable", "UNAVAILABLE", "no registry can be reached, try again in a moment", 503],
] as const;

const withoutQuorum: Readonly<Record<Quorum, string>> = {
  write:
    "too few members of the store are up to write to it, try again in a moment; pulls work while two of them are up",
  read: "too few members of the store are up to read from it, try again in a moment",
};

export function headersAndErrors(): string {
  return lines(
    "add_header Strict-Transport-Security 'max-age=63072000' always;",
    "add_header Docker-Distribution-Api-Version $api_version always;",
    "add_header WWW-Authenticate $challenge always;",
    "add_header Retry-After $retry_after always;",
    "",
    ...errorPages(),
    "",
    ...errors.flatMap(([status, name, code, message, as]) =>
      errorLocation(name, as ?? status, code, message),
    ),
    ...errorLocation("@denied", 403, "DENIED", "requested access to the resource is denied"),
    ...Object.entries(withoutQuorum).flatMap(([quorum, message]) =>
      errorLocation(`@no_${quorum}`, 503, "UNAVAILABLE", message),
    ),
  );
}

/** Where a request goes that no registry has answered. */
export interface WithoutAnswer {
  /** Its upstream has nobody to try any more (502). */
  readonly nobody: string;
  /** The last that was tried did not answer in time (504). */
  readonly silent: string;
}

/**
 * Where nginx's own errors go. A location that names one has to name them all.
 *
 * @param without to `@unavailable` by default
 */
export function errorPages(without?: WithoutAnswer): string[] {
  const more: Record<number, string> = {
    400: "400 414 494 495 496 497",
    502: without === undefined ? "502 503 504" : "503",
  };
  return [
    ...(without === undefined
      ? []
      : [`error_page 502 = ${without.nobody};`, `error_page 504 = ${without.silent};`]),
    ...errors.map(
      ([status, name, , , as]) => `error_page ${more[status] ?? status} ${as ? `=${as} ` : ""}${name};`,
    ),
    "# A coding or a version of HTTP that nobody has is the request's fault, though HTTP counts it as the server's.",
    "error_page 501 505 =400 /-/bad_request;",
  ];
}

const bodyOf = (code: string, message: string): string =>
  JSON.stringify({ errors: [{ code, message, detail: null }] });

/** The body of an answer to a path that is not there. */
export const noPath = bodyOf("NAME_INVALID", unknownPath);

function errorLocation(name: string, status: number, code: string, message: string): string[] {
  const body = bodyOf(code, message);
  const head = name.startsWith("@") ? [`location ${name} {`] : [`location = ${name} {`, "    internal;"];
  return [...head, `    return ${status} '${body}';`, "}"];
}
