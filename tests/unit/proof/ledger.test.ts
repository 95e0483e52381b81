import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { describeInstance } from "../../../lab/instance";
import { differences, digestOf, writeImage } from "../../proof/faults/content";
import { brokenBounds, failedPulls } from "../../proof/faults/figures";
import { Ledger, type Entry } from "../../proof/faults/ledger";
import { Load } from "../../proof/faults/load";
import { readAfterPush, readBack, readsOf, type Read } from "../../proof/faults/readBack";
import type { Copied } from "../../proof/faults/skopeo";
import { until } from "../../support/waiting";

let folder: string;
let ledger: Ledger;

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-test-"));
  ledger = new Ledger(path.join(folder, "ledger"));
});
afterEach(() => {
  ledger.close();
  fs.rmSync(folder, { recursive: true });
});

const quick = { tries: 2, pauseMs: 1 };
const entry = (tag: string, digest: string, ...blobs: [string, number][]): Entry => ({
  repository: "r",
  tag,
  digest,
  blobs: blobs.map(([name, size]) => ({ digest: name, size })),
});

describe("the ledger", () => {
  test("accepts a tag's last acknowledged digest, or that of a later push without an answer", () => {
    ledger.begin(entry("t", "never"));
    expect(ledger.tags.size).toBe(0);
    for (const digest of ["one", "two"]) {
      ledger.begin(entry("t", digest));
      ledger.acknowledge(entry("t", digest));
    }
    expect(ledger.tags.get("r:t")).toEqual(["two"]);
    ledger.begin(entry("t", "three"));
    expect(ledger.tags.get("r:t")).toEqual(["two", "three"]);
    expect(ledger.entries.map(({ digest }) => digest)).toEqual(["one", "two"]);
  });

  test("survives a run that ended while it wrote a line", () => {
    const file = path.join(folder, "cut");
    const first = new Ledger(file);
    first.acknowledge(entry("t", "one"));
    first.close();
    fs.appendFileSync(file, '\n{"state":"acknowledged","entry":{"repository":"r","blobs":[{}');
    const second = new Ledger(file);
    second.acknowledge(entry("u", "two"));
    second.close();
    const third = new Ledger(file);
    expect([...third.tags]).toEqual([
      ["r:t", ["one"]],
      ["r:u", ["two"]],
    ]);
    third.close();
  });
});

describe("reading back", () => {
  const big = 2 * 1024 ** 2;

  test("asks for tags and digests, and for the bytes of each blob once", () => {
    ledger.acknowledge(entry("t", "m1", ["old", big], ["small", 9]));
    ledger.acknowledge(entry("t", "m2", ["new", big], ["small", 9]));
    const texts = (since?: number): string[] =>
      readsOf(ledger, since).map(({ method, path: target }) => `${method} ${target}`);
    const all = [
      "GET /v2/r/manifests/t",
      "GET /v2/r/manifests/m1",
      "GET /v2/r/blobs/old",
      "GET /v2/r/blobs/small",
      "GET /v2/r/manifests/m2",
      "GET /v2/r/blobs/new",
      "HEAD /v2/r/blobs/small",
    ];
    expect(texts()).toEqual(all);
    expect(texts(1)).toEqual(all.map((text) => text.replace("GET /v2/r/blobs/old", "HEAD /v2/r/blobs/old")));
  });

  test("names what is lost or another, and tries again what was not answered", async () => {
    ledger.acknowledge(entry("t", "m", ["gone", 1], ["other", 1], ["late", 1]));
    let late = 0;
    const ask = ({ path: target, accepted }: Read) => {
      const [digest = ""] = accepted;
      if (digest === "gone") return Promise.resolve({ status: 404, digest: "" });
      if (digest === "late" && late++ === 0) return Promise.resolve({ status: 503, digest: "" });
      return Promise.resolve({ status: 200, digest: target.endsWith("other") ? "wrong" : digest });
    };
    expect((await readBack(readsOf(ledger), ask, quick)).sort()).toEqual([
      "/v2/r/blobs/gone: status 404",
      "/v2/r/blobs/other: wrong in place of other",
    ]);
  });
});

test("content follows from its seed, and a difference is found by digest", () => {
  const first = writeImage(path.join(folder, "a"), "seed", [8192, 5000]);
  expect(writeImage(path.join(folder, "b"), "seed", [8192, 5000])).toEqual(first);
  expect(writeImage(path.join(folder, "c"), "other", [8192, 5000]).digest).not.toBe(first.digest);
  expect(differences(path.join(folder, "b"), first)).toEqual([]);
  fs.writeFileSync(path.join(folder, "a", first.blobs[2]?.digest.slice(7) ?? ""), "other");
  fs.rmSync(path.join(folder, "a", "manifest.json"));
  expect(differences(path.join(folder, "a"), first)).toEqual([
    `nothing came back in place of ${first.digest}`,
    `${digestOf("other")} came back in place of ${first.blobs[2]?.digest}`,
  ]);
});

/** A registry in memory, with defects. */
class Registry {
  readonly tags = new Map<string, string[]>();
  readonly images = new Map<string, string>();
  /** Its answers to tags are one push old. */
  stale = false;
  /** Of so many requests one fails. */
  failing = 0;
  private requests = 0;

  private request(work: () => void): Promise<Copied> {
    if (this.failing > 0 && this.requests++ % this.failing === 0)
      return Promise.resolve({ ok: false, retries: 3, error: "503" });
    work();
    return Promise.resolve({ ok: true, retries: 0 });
  }

  readonly push = (_client: unknown, image: string, name: string): Promise<Copied> =>
    this.request(() => {
      const digest = digestOf(fs.readFileSync(path.join(image, "manifest.json")));
      const kept = path.join(folder, digest.slice(7));
      fs.cpSync(image, kept, { recursive: true });
      this.images.set(digest, kept);
      this.tags.set(name, [...(this.tags.get(name) ?? []), digest]);
    });

  readonly pull = (_client: unknown, name: string, target: string): Promise<Copied> =>
    this.request(() => {
      const kept = this.images.get(name.split("@")[1] ?? "");
      if (kept !== undefined) fs.cpSync(kept, target, { recursive: true });
    });

  readonly list = (): Promise<Copied> => this.request(() => undefined);

  readonly read = (target: string): { status: number; digest: string } => {
    const [, repository, reference = ""] = /^\/v2\/(.*)\/(?:manifests|blobs)\/(.*)$/.exec(target) ?? [];
    const digests = this.tags.get(`${repository}:${reference}`);
    if (digests) return { status: 200, digest: (this.stale && digests.at(-2)) || digests.at(-1) || "" };
    const isThere =
      !reference.startsWith("sha256:") || !target.includes("manifests") || this.images.has(reference);
    return { status: isThere ? 200 : 404, digest: reference };
  };
}

describe("the load and its ledger", () => {
  const clients = describeInstance(3).hosts.filter(({ kind }) => kind === "client");

  /** Runs a load for some requests, and returns the bounds that it breaks. */
  async function brokenBy(registry: Registry, requests = 80): Promise<string[]> {
    const stale: string[] = [];
    const afterPush = async (one: Entry): Promise<void> => {
      const found = await readAfterPush(one, (target) => Promise.resolve(registry.read(target)), quick);
      if (typeof found === "object") stale.push(found.stale);
    };
    const load = new Load({ clients, skopeo: registry, ledger, folder, seed: "s", id: "i", afterPush });
    load.start();
    const enough = (): void => {
      load.hurry();
      if (load.outcomes.length < requests) throw new Error(`${load.outcomes.length} requests`);
    };
    await until("enough requests have ended", enough, { everyMs: 5 });
    await load.stop();
    const lost = await readBack(readsOf(ledger), (read) => Promise.resolve(registry.read(read.path)), quick);
    return brokenBounds({ lost, stale, failedPulls: failedPulls(load.outcomes) });
  }

  test("find nothing in a registry that works", async () => {
    const registry = new Registry();
    expect(await brokenBy(registry)).toEqual([]);
    expect(ledger.entries.length).toBe(registry.images.size);
    // Tags move, so that a stale answer can be seen.
    expect([...registry.tags.values()].some((digests) => digests.length > 1)).toBe(true);
  });

  test("find a tag that another edge node answers from a cache", async () => {
    const registry = new Registry();
    registry.stale = true;
    expect(await brokenBy(registry)).toContainEqual(
      expect.stringMatching(/acknowledged are not seen by another edge node, such as .*in place of sha256/),
    );
  });

  test("find an acknowledged image that is gone", async () => {
    const registry = new Registry();
    await brokenBy(registry);
    const gone = ledger.entries[3]?.digest ?? "";
    registry.images.delete(gone);
    const lost = await readBack(readsOf(ledger), (read) => Promise.resolve(registry.read(read.path)), quick);
    expect(lost).toEqual([expect.stringContaining(`${gone}: status 404`)]);
  });

  test("find pulls that fail, and push no tag again whose push failed", async () => {
    const registry = new Registry();
    registry.failing = 3;
    expect(await brokenBy(registry)).toEqual([
      expect.stringMatching(/^\d+ pulls failed after retries, such as 503$/),
    ]);
    for (const accepted of ledger.tags.values()) expect(accepted.length).toBeLessThanOrEqual(2);
  });
});
