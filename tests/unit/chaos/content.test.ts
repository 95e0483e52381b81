import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { differences, digestOf, LARGEST, layerSizes, SMALLEST, writeImage } from "../../chaos/content";
import { Ledger } from "../../chaos/ledger";
import { formerFor } from "../../chaos/load";
import { drawn, readsOf } from "../../chaos/reading";

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
    const sizes = layerSizes("seed", 8192);
    const first = writeImage(path.join(folder, "a"), "seed", sizes);
    expect(writeImage(path.join(folder, "b"), "seed", first.sizes)).toEqual(first);
    expect(writeImage(path.join(folder, "c"), "other", sizes).digest).not.toBe(first.digest);
    expect(differences(path.join(folder, "b"), first)).toEqual([]);
    const layer = first.blobs.at(-1)?.digest.slice("sha256:".length) ?? "";
    const listed = execFileSync("tar", ["-tvf", path.join(folder, "a", layer)], { encoding: "utf8" });
    expect(listed).toMatch(/^-rw-r--r-- .* content-\d$/m);
  });

  test("that came back otherwise are told by digest", () => {
    const made = writeImage(path.join(folder, "a"), "seed", [8192]);
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
  const entry = { repository: "a", tag: "t", seed: "s", at: 1, digest: "sha256:1", blobs: [], sizes: [] };
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
    sizes: blobs.map(({ size }) => size),
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

describe("what is read back after a row", () => {
  const mib = 1024 ** 2;
  const entry = (tag: string, ...sizes: number[]) => ({
    repository: "r",
    tag,
    seed: tag,
    at: 1,
    digest: `sha256:m-${tag}`,
    blobs: sizes.map((size, index) => ({ digest: `sha256:${tag}-${index}`, size })),
    sizes,
  });
  // Of rows with 40 MiB each, and one small image.
  const entries = Array.from({ length: 9 }, (_, row) => entry(`t${row}`, 40 * mib, 5000));
  const rows = entries.map((_, index) => index);
  const gets = (next: () => number): string[] =>
    readsOf(entries, drawn(entries, rows, next))
      .flat()
      .filter(({ method, path }) => method === "GET" && path.includes("/blobs/"))
      .map(({ digest }) => digest);

  test("is every manifest, all that is small, and the large layers of the last three rows", () => {
    const all = readsOf(
      entries,
      drawn(entries, rows, () => 0),
    ).flat();
    expect(all.filter(({ path }) => path.includes("/manifests/")).map(({ method }) => method)).toEqual(
      entries.map(() => "GET"),
    );
    const got = gets(() => 0);
    for (const { tag } of entries) expect(got).toContain(`sha256:${tag}-1`);
    for (const row of [6, 7, 8]) expect(got).toContain(`sha256:t${row}-0`);
  });

  test("are some of the older large ones, others each time; the rest is asked for", () => {
    const large = (next: () => number) => gets(next).filter((digest) => digest.endsWith("-0"));
    // 64 MiB are reached by two of 40.
    expect(large(() => 0)).toEqual(["t0", "t1", "t6", "t7", "t8"].map((tag) => `sha256:${tag}-0`));
    expect(large(() => 0.999)).toEqual(["t4", "t5", "t6", "t7", "t8"].map((tag) => `sha256:${tag}-0`));
    const rest = readsOf(
      entries,
      drawn(entries, rows, () => 0),
    ).flat();
    expect(rest.filter(({ method }) => method === "HEAD").map(({ digest }) => digest)).toEqual(
      ["t2", "t3", "t4", "t5"].map((tag) => `sha256:${tag}-0`),
    );
  });

  test("is everything at first, and at the end", () => {
    expect(gets(() => 0)).toHaveLength(9 + 5);
    const first = readsOf(
      entries.slice(0, 2),
      drawn(entries.slice(0, 2), [0], () => 0),
    ).flat();
    expect(first.filter(({ method }) => method === "HEAD")).toEqual([]);
    expect(
      readsOf(entries)
        .flat()
        .filter(({ method }) => method === "HEAD"),
    ).toEqual([]);
  });
});
