import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { differences, digestOf, LARGEST, layerSizes, SMALLEST, writeImage } from "../../chaos/content";
import { Ledger, readsOf } from "../../chaos/ledger";
import { formerFor } from "../../chaos/load";

let folder: string;

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-test-"));
});

afterEach(() => fs.rmSync(folder, { recursive: true }));

describe("images of known content", () => {
  test("have layers of 4 KiB to 64 MiB, of all orders of size", () => {
    const sizes = Array.from({ length: 400 }, (_, number) => layerSizes(`seed ${number}`)).flat();
    expect(Math.min(...sizes)).toBeGreaterThanOrEqual(SMALLEST);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(LARGEST);
    expect(Math.max(...sizes)).toBeGreaterThan(32 * 1024 ** 2);
    const small = sizes.filter((size) => size < 512 * 1024).length / sizes.length;
    expect(small).toBeGreaterThan(0.4);
    expect(small).toBeLessThan(0.6);
    expect(layerSizes("seed 1", 8192).every((size) => size <= 8192)).toBe(true);
  });

  test("follow from their seed, and are what their digests say", () => {
    const first = writeImage(path.join(folder, "a"), "seed", 8192);
    expect(writeImage(path.join(folder, "b"), "seed", 8192)).toEqual(first);
    expect(writeImage(path.join(folder, "c"), "other", 8192).digest).not.toBe(first.digest);
    expect(differences(path.join(folder, "b"), first)).toEqual([]);
    const layer = first.blobs.at(-1)?.digest.slice("sha256:".length) ?? "";
    const listed = execFileSync("tar", ["-tvf", path.join(folder, "a", layer)], { encoding: "utf8" });
    expect(listed).toMatch(/^-rw-r--r-- .* content-\d$/m);
  });

  test("that came back otherwise are told by digest", () => {
    const made = writeImage(path.join(folder, "a"), "seed", 8192);
    const file = path.join(folder, "a", made.blobs.at(-1)?.digest.slice("sha256:".length) ?? "");
    fs.writeFileSync(file, "other");
    fs.rmSync(path.join(folder, "a", "manifest.json"));
    expect(differences(path.join(folder, "a"), made)).toEqual([
      `nothing came back in place of ${made.digest}`,
      `${digestOf("other")} came back in place of ${made.blobs.at(-1)?.digest}`,
    ]);
  });
});

test("a ledger knows what was acknowledged, also after a run that was cut off while it wrote", () => {
  const file = path.join(folder, "ledger");
  const entry = { repository: "a", tag: "t", seed: "s", at: 1, digest: "sha256:1", blobs: [] };
  const ledger = new Ledger(file);
  ledger.add({ ...entry, blobs: [{ digest: "sha256:2", size: 10 }] });
  ledger.add({ ...entry, tag: "u", blobs: [{ digest: "sha256:3", size: 5 }] });
  ledger.close();
  fs.appendFileSync(file, '{"repository":"a","ta');
  const again = new Ledger(file);
  expect(again.entries.map(({ tag }) => tag)).toEqual(["t", "u"]);
  expect(again.bytes).toBe(15);
  again.close();
});

describe("a large image that is sent again", () => {
  const blob = (name: string, size: number) => ({ digest: `sha256:${name}`, size });
  const entry = (tag: string, blobs: ReturnType<typeof blob>[]) => ({
    repository: `r-${tag}`,
    tag,
    seed: tag,
    at: 1,
    digest: `sha256:m-${tag}`,
    blobs,
  });
  const large = entry("large", [blob("a", 64 * 1024 ** 2)]);
  const entries = [entry("small", [blob("b", 5000)]), large, { ...large, repository: "r-again" }];

  test("is every second push's", () => {
    for (const number of [1, 3, 5, 7]) expect(formerFor(number, "seed", entries)?.seed).toBe("large");
    expect(formerFor(2, "seed", entries)).toBeUndefined();
    expect(formerFor(1, "seed", entries.slice(0, 1))).toBeUndefined();
  });

  test("counts once, and is read once", () => {
    const ledger = new Ledger(path.join(folder, "again"));
    for (const one of entries) ledger.add(one);
    expect(ledger.bytes).toBe(5000 + 64 * 1024 ** 2);
    ledger.close();
    expect(readsOf(entries).map((reads) => reads.map(({ method, path }) => `${method} ${path}`))).toEqual([
      ["GET /v2/r-small/manifests/small", "GET /v2/r-small/blobs/sha256:b"],
      ["GET /v2/r-large/manifests/large", "GET /v2/r-large/blobs/sha256:a"],
      ["GET /v2/r-again/manifests/large", "HEAD /v2/r-again/blobs/sha256:a"],
    ]);
  });
});
