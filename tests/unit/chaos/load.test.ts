import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { describeInstance } from "../../../lab/instance";
import { Ledger } from "../../chaos/ledger";
import { Load, pauseMs } from "../../chaos/load";
import type { Copied, Skopeo } from "../../chaos/skopeo";

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
  const skopeo = { push: copy, pull: copy } as unknown as Skopeo;
  return new Load({ clients, skopeo, ledger, folder, seed: "s", budget: 0 });
}

/** So many acknowledged pushes that a load pauses for long. */
function acknowledge(count: number): void {
  for (let number = 0; number < count; number++)
    ledger.add({ repository: "r", tag: `t${number}`, seed: "s", at: 1, digest: "sha256:1", blobs: [] });
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
});
