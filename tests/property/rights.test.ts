import type { RegistryUserModel } from "@moorage/render";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isRepositoryName } from "../../config/repositoryName";
import engine from "../../render/assets/nginx/engine.js";
import "./seed";

const { contentOf, decide, parsePath } = engine;
const repositoryOf = (target: string): string => parsePath(target.split("?")[0] ?? "")?.repository ?? "";
const digest = `sha256:${"0".repeat(64)}`;

const part = fc.stringMatching(/^[a-z0-9]{1,4}([._-][a-z0-9]{1,3})?$/);
const repository = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
const endings = [
  "manifests/latest",
  `manifests/${digest}`,
  `blobs/${digest}`,
  "blobs/uploads/",
  "blobs/uploads/0a-1b",
  "tags/list",
  `referrers/${digest}`,
];
const method = fc.constantFrom("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "get");
const right = fc.record({
  prefix: fc.oneof(
    repository,
    repository.map((name) => `${name}/`),
  ),
  access: fc.constantFrom("read" as const, "write" as const),
});

/** Pieces that could make a path mean something else than it looks like. */
const trick = fc.constantFrom(
  "..",
  ".",
  "",
  "%2e%2e",
  "%2E.",
  "%2f",
  "%252f",
  "%2F..%2F",
  "\\",
  "%5c",
  "%00",
  "%c0%af",
  ";x",
  "#",
  "?",
  "A",
  "team",
  "secret",
  "_catalog",
  "manifests",
  "blobs",
  "uploads",
  "tags",
  "list",
  "latest",
  digest,
  "é",
  " ",
);
const separator = fc.constantFrom("/", "/", "/", "//", "%2f", "%2F", "/./", "/../", "\\");
const path = fc
  .array(fc.tuple(fc.oneof(trick, part), separator), { minLength: 1, maxLength: 8 })
  .map((parts) => `/v2/${parts.flat().join("")}`)
  .chain((text) => fc.tuple(fc.constant(text), fc.constantFrom("", ...endings)))
  .map(([text, ending]) => text + ending);

/** Every repository that a server could see in a path: as it is, decoded up to three times, cleaned, or lower-cased. */
function possibleRepositories(target: string): string[] {
  const name = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
  const route = new RegExp(
    `^/v2/(${name}(?:/${name})*)/(?:manifests/[^/]+|blobs/[^/]+|blobs/uploads/[^/]*|tags/list|referrers/[^/]+)/?$`,
  );
  let text = target.split(/[?#]/)[0] ?? "";
  const seen: string[] = [];
  for (let round = 0; round < 4; round++) {
    for (const variant of [text, text.toLowerCase()]) {
      for (const form of [
        variant,
        variant.replaceAll("\\", "/"),
        clean(variant),
        clean(variant.replaceAll("\\", "/")),
      ]) {
        const found = route.exec(form)?.[1];
        if (found !== undefined) seen.push(found);
      }
    }
    try {
      text = decodeURIComponent(text);
    } catch {
      break;
    }
  }
  return seen;
}

function clean(text: string): string {
  const out: string[] = [];
  for (const piece of text.split("/")) {
    if (piece === "..") out.pop();
    else if (piece !== "." && piece !== "") out.push(piece);
  }
  return `/${out.join("/")}${text.endsWith("/") ? "/" : ""}`;
}

function covered(user: RegistryUserModel, name: string): boolean {
  return user.rights.some(
    ({ prefix }) => prefix === name || (prefix.endsWith("/") && name.startsWith(prefix)),
  );
}

describe("rights, whatever is asked", () => {
  it("never let a request through to a repository outside of them", () => {
    fc.assert(
      fc.property(fc.array(right, { maxLength: 3 }), method, path, (rights, verb, target) => {
        const user = { name: "user", rights };
        if (decide([user], "user", verb, target) !== "allowed") return;
        const asked = repositoryOf(target);
        if (asked !== "") expect(covered(user, asked)).toBe(true);
        for (const name of possibleRepositories(target)) expect(covered(user, name)).toBe(true);
      }),
      { numRuns: 5000 },
    );
  });

  it("give what they say for every repository, and writing only where they say so", () => {
    fc.assert(
      fc.property(
        fc.array(right, { maxLength: 3 }),
        repository,
        fc.constantFrom(...endings),
        method,
        (...args) => {
          const [rights, name, ending, verb] = args;
          const write = !["GET", "HEAD"].includes(verb) || ending.startsWith("blobs/uploads");
          const expected = rights.some(
            ({ prefix, access }) =>
              (prefix === name || (prefix.endsWith("/") && name.startsWith(prefix))) &&
              (access === "write" || !write),
          );
          const verdict = decide([{ name: "user", rights }], "user", verb, `/v2/${name}/${ending}`);
          expect(verdict).toBe(expected ? "allowed" : "denied");
        },
      ),
      { numRuns: 2000 },
    );
  });

  it("never let a blob be mounted from a repository that cannot be read", () => {
    const key = fc.constantFrom("from", "%66rom", "fro%6D", "From", "mount", "x");
    const pair = fc.tuple(key, fc.oneof(repository, trick, fc.string()), fc.constantFrom("&", ";", "&&"));
    fc.assert(
      fc.property(fc.array(pair, { maxLength: 5 }), fc.array(right, { maxLength: 2 }), (pairs, more) => {
        const query = pairs.map(([name, value, end]) => `${name}=${value}${end}`).join("");
        const user: RegistryUserModel = {
          name: "user",
          rights: [{ prefix: "own", access: "write" }, ...more],
        };
        if (decide([user], "user", "POST", `/v2/own/blobs/uploads/?${query}`) !== "allowed") return;
        for (const source of new URLSearchParams(query).getAll("from")) {
          expect(covered(user, source)).toBe(true);
        }
      }),
      { numRuns: 3000 },
    );
  });

  it("name content in the cache by the repository and the reference that they were checked for", () => {
    fc.assert(
      fc.property(path, (target) => {
        const request = parsePath(target.split("?")[0] ?? "");
        const { kind = "", repository: name = "", reference = "" } = request ?? {};
        expect(contentOf(target)).toBe(request === undefined ? "" : `${kind}/${name}@${reference}`);
      }),
    );
  });

  it("take the same names for a repository as the configuration does", () => {
    fc.assert(
      fc.property(fc.oneof(repository, trick, fc.string()), (name) => {
        expect(engine.isRepositoryName(name)).toBe(isRepositoryName(name));
      }),
    );
  });
});
