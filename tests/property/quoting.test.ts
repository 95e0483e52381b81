import { execFileSync } from "node:child_process";
import { computeNoProxy, renderRegistryConfig, shellCommand } from "@moorage/render";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import "./seed";

const text = fc.string({ unit: "grapheme" }).filter((value) => !value.includes("\0"));

describe("quoting", () => {
  it("hands a shell the arguments that were meant", () => {
    fc.assert(
      fc.property(fc.array(text, { minLength: 1, maxLength: 5 }), (argv) => {
        const script = `printf '%s\\0' ${shellCommand(argv)}`;
        const out = execFileSync("sh", ["-c", script], { encoding: "utf8" });
        expect(out.split("\0").slice(0, -1)).toEqual(argv);
      }),
      { numRuns: 50 },
    );
  });

  it("keeps keys in the registry's configuration whatever they are made of", () => {
    fc.assert(
      fc.property(text, text, (secretKey, httpSecret) => {
        const endpoint = "http://s3:9000";
        const keys = { bucket: "b", endpoint, region: "r", accessKey: "a", secretKey, httpSecret };
        const config = parse(renderRegistryConfig(keys)) as {
          storage: { s3: { secretkey: string } };
          http: { secret: string };
        };
        expect(config.storage.s3.secretkey).toBe(secretKey);
        expect(config.http.secret).toBe(httpSecret);
      }),
    );
  });
});

describe("no_proxy", () => {
  it("names every node once, with all its addresses, and no port", () => {
    const node = fc.record({ name: fc.stringMatching(/^[a-z]{1,8}$/), addresses: fc.array(fc.ipV4()) });
    fc.assert(
      fc.property(
        fc.array(node),
        fc.array(fc.stringMatching(/^[a-z]{1,5}(:[0-9]{2,4})?$/)),
        (nodes, serviceNames) => {
          const list = computeNoProxy({ nodes, domains: ["d"], serviceNames, subnets: [] });
          expect(new Set(list).size).toBe(list.length);
          for (const { name, addresses } of nodes) {
            expect(list).toEqual(expect.arrayContaining([name, ...addresses, `${name}.d`]));
          }
          for (const entry of list) expect(entry).not.toMatch(/^[a-z]+:/);
        },
      ),
    );
  });
});
