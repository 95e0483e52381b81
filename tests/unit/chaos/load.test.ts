import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { describeInstance } from "../../../lab/instance";
import { Ledger } from "../../chaos/ledger";
import { Load, pauseMs } from "../../chaos/load";
import { bytesOnDrive, LargePushes, sizesOf } from "../../chaos/large";
import { tagsIn, type Copied, type Skopeo } from "../../chaos/skopeo";

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

const clients = describeInstance(3).hosts.filter(({ kind }) => kind === "client");
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A load whose requests are as one function has them. */
function loadOf(copy: () => Promise<Copied>): Load {
  const skopeo = { push: copy, pull: copy, list: copy } as unknown as Skopeo;
  return new Load({ clients, skopeo, ledger, folder, seed: "s", budget: 0 });
}

/** So many acknowledged pushes that a load pauses for long. */
function acknowledge(count: number): void {
  for (let number = 0; number < count; number++)
    ledger.add({
      repository: "r",
      tag: `t${number}`,
      seed: "s",
      at: 1,
      digest: "sha256:1",
      blobs: [],
      sizes: [],
    });
}

test("a load pauses longer once there is plenty to read back", () => {
  expect([pauseMs(0, 0), pauseMs(249, 1)]).toEqual([200, 800]);
  expect([pauseMs(250, 0), pauseMs(250, 0.5), pauseMs(9999, 1)]).toEqual([3000, 6000, 9000]);
});

describe("a load", () => {
  test("ends its pauses when it is told to hurry, on all clients", async () => {
    acknowledge(250);
    const load = loadOf(() => Promise.resolve({ ok: false, retries: 0, error: "none" }));
    load.start();
    await wait(300);
    expect(load.outcomes).toHaveLength(4);
    load.hurry();
    await wait(300);
    expect(load.outcomes).toHaveLength(8);
    await load.stop();
    expect(load.outcomes).toHaveLength(8);
  });

  test("waits for what is under way, and not for what comes after it", async () => {
    acknowledge(250);
    const ends: ((copied: Copied) => void)[] = [];
    const load = loadOf(() => new Promise((resolve) => void ends.push(resolve)));
    const [client] = clients;
    if (!client) throw new Error("no client");
    load.pushNow(client);
    const settled = load.settled();
    load.pushNow(client);
    expect(ends).toHaveLength(2);
    ends[0]?.({ ok: true, retries: 0 });
    await settled;
    expect(load.outcomes.map(({ kind, ok }) => `${kind} ${ok}`)).toEqual(["push true"]);
    ends[1]?.({ ok: true, retries: 0 });
    await load.stop();
    expect(ledger.entries).toHaveLength(252);
  });

  test("goes on where a program cannot be run, which is a failure", async () => {
    acknowledge(250);
    const load = loadOf(() => Promise.reject(new Error("cannot run ip")));
    load.start();
    await wait(300);
    await load.stop();
    expect(load.outcomes).toHaveLength(4);
    expect(load.outcomes[0]).toMatchObject({ ok: false, error: "Error: cannot run ip" });
  });

  test("goes on where this machine cannot make an image, or note what was acknowledged, which are failures", async () => {
    const load = loadOf(() => Promise.resolve({ ok: true, retries: 0 }));
    const [client] = clients;
    if (!client) throw new Error("no client");
    fs.writeFileSync(path.join(folder, "push-0"), "in the way");
    expect(await load.push(client)).toBeUndefined();
    expect(load.outcomes).toMatchObject([
      { kind: "push", ok: false, error: expect.stringContaining("EEXIST") },
    ]);
    const full = (): never => {
      throw new Error("no space left");
    };
    vi.spyOn(ledger, "add").mockImplementation(full);
    expect(await load.push(client)).toBeUndefined();
    expect(load.outcomes.at(-1)).toMatchObject({ kind: "push", ok: false, error: "Error: no space left" });
    await load.stop();
  });

  test("pulls every fourth time by tag, which the list of tags must have before", async () => {
    acknowledge(250);
    const asked: string[] = [];
    const said = (verb: string, ok: boolean) => (_client: unknown, name: string) => {
      asked.push(`${verb} ${name.replace(/\d+/g, "N")}`);
      return Promise.resolve({ ok, retries: 0, ...(ok ? {} : { error: "t1 is not in the list of tags" }) });
    };
    const skopeo = { push: said("push", true), pull: said("pull", true), list: said("list", false) };
    const load = new Load({
      clients,
      skopeo: skopeo as unknown as Skopeo,
      ledger,
      folder,
      seed: "s",
      budget: 0,
    });
    load.start();
    for (let turn = 0; turn < 40; turn++) {
      load.hurry();
      await wait(5);
    }
    await load.stop();
    expect([...new Set(asked)].sort()).toEqual(expect.arrayContaining(["list r", "pull r@shaN:N"]));
    const listed = asked.filter((one) => one.startsWith("list ")).length;
    expect(load.outcomes.filter(({ error }) => error === "t1 is not in the list of tags")).toHaveLength(
      listed,
    );
    // One whose list lacks it is not pulled at all.
    expect(asked.filter((one) => /^pull .*:tN$/.test(one))).toEqual([]);
  });
});

test("a list of tags is what skopeo prints", () => {
  expect(tagsIn('{"Repository":"r","Tags":["t1","t2"]}')).toEqual(["t1", "t2"]);
  expect(tagsIn('{"Repository":"r"}')).toEqual([]);
});

describe("the large layers of a row", () => {
  test("are never so small that MinIO keeps them with its notes, and add up to what the lab's disks hold", () => {
    const sizes = Array.from({ length: 60 }, (_, row) => sizesOf(row, Infinity)).flat();
    expect(Math.min(...sizes)).toBeGreaterThan(1024 ** 2);
    expect(Math.max(...sizes)).toBe(64 * 1024 ** 2);
    expect(sizesOf(5, 3_000_000)).toEqual([3_000_000, 3_000_000, 2 * 1024 ** 2]);
    // On all four.
    expect(4 * bytesOnDrive(60)).toBeLessThan(6 * 1024 ** 3);
  });

  test("are new to everybody, from both clients, and counted once they are acknowledged", async () => {
    const results = [true, false, true];
    const names: string[] = [];
    const skopeo = {
      push: (client: { name: string }, _folder: string, name: string) => {
        names.push(`${client.name} ${name}`);
        return Promise.resolve({ ok: results.shift() ?? false, retries: 0 });
      },
    };
    const load = new Load({ clients, skopeo: skopeo as unknown as Skopeo, ledger, folder, seed: "s" });
    const large = new LargePushes(load, clients, [2000, 3000, 4000]);
    await large.push(2000);
    await wait(5);
    const from = Date.now();
    await large.push(3000);
    await large.push(4000, "chaos/probed-1");
    expect(await large.acknowledged({ from, to: Date.now() })).toEqual({
      count: 2,
      bytes: 6000,
      meanwhile: 1,
    });
    expect(names).toEqual([
      "client1 chaos/client1-0:t0",
      "client2 chaos/client2-1:t1",
      "client1 chaos/probed-1:t2",
    ]);
    expect(new Set(ledger.entries.flatMap(({ blobs }) => blobs.map(({ digest }) => digest))).size).toBe(4);
    expect(ledger.entries.map(({ sizes }) => sizes)).toEqual([[2000], [4000]]);
  });
});
