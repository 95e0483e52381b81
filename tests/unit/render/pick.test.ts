/** The script by which nginx picks a registry, run here with stand-ins for what nginx gives it. */
import { createHash } from "node:crypto";
import * as vm from "node:vm";
import { pickOf, pickScript } from "@moorage/render";
import { beforeEach, describe, expect, it } from "vitest";

const nodes = ["one", "two", "three"];
const names = nodes.map((node) => `registry-${node}`);
const port = 5000;
const digest = (text: string): string => createHash("sha256").update(text).digest("hex");
const repositories = Array.from({ length: 24 }, (_, at) => `team/app${at}`);

/** URLs that answer with something else than 200, or not at all. */
let bad: Map<string, number | "silent">;
let logged: string[];
let known: Map<string, number>;
let pick: { look(): Promise<void>; registry(request: object): string };

beforeEach(() => {
  [bad, logged, known] = [new Map(), [], new Map()];
  const fetch = (url: string) => {
    const status = bad.get(url) ?? 200;
    return status === "silent" ? Promise.reject(new Error("timeout")) : Promise.resolve({ status });
  };
  const ngx = {
    fetch,
    shared: { registries: known },
    WARN: 4,
    log: (_: number, text: string) => logged.push(text),
  };
  const registries = names.map((name, at) => ({
    name,
    port,
    balancer: { name: `s3-${nodes[at]}`, port: 9000 },
  }));
  const text = pickScript(registries)
    .replace(/^import .*$/gm, "")
    .replace(/^export default (.*);$/m, "globalThis.exported = $1;");
  const context = vm.createContext({ ngx, crypto: { createHash } });
  vm.runInContext(text, context);
  pick = (context as unknown as { exported: typeof pick }).exported;
});

const asked = (): string[] =>
  repositories.map((repository) => pick.registry({ variables: { registry_affinity: repository } }));
const expected = (among: readonly string[]): string[] =>
  repositories.map((repository) => pickOf(among, repository, digest));
const [one = ""] = names;
const others = names.slice(1);

describe("the registry of a repository", () => {
  it("is the same for all fronts, and each registry has some", () => {
    expect(asked()).toEqual(expected(names));
    expect(new Set(asked())).toEqual(new Set(names));
  });

  it.each([
    ["it hangs", `http://registry-one:${port}/`, "silent"],
    ["it reports that it has no store", `http://registry-one:${port}/`, 503],
    ["its balancer hangs", "http://s3-one:9000/healthz", "silent"],
  ] as const)("is another one while %s, and the others keep theirs", async (_, url, answer) => {
    const before = asked();
    bad.set(url, answer);
    await pick.look();
    expect(logged).toEqual([`registry-one does not serve: ${url}`]);
    const now = asked();
    expect(now).toEqual(expected(others));
    now.forEach((name, at) => expect(before[at] === one || before[at] === name).toBe(true));
    bad.clear();
    // Three good looks: by then nginx has its new address.
    for (const registries of [others, others, names]) {
      await pick.look();
      expect(asked()).toEqual(expected(registries));
    }
    expect(logged.at(-1)).toBe("registry-one serves again");
  });

  it("is any of them where none is well, or nobody has looked for a while", async () => {
    for (const name of names) bad.set(`http://${name}:${port}/`, 503);
    await pick.look();
    expect(asked()).toEqual(expected(names));
    bad.delete(`http://${one}:${port}/`);
    known.clear();
    expect(asked()).toEqual(expected(names));
  });
});
