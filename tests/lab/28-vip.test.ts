import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { faults } from "../../lab/faults";
import type { RegistryAccess } from "../../lab/journey/push";
import { secondsOfTwo } from "../chaos/measure";
import { holdersOf, VipWatch } from "../chaos/vip";
import { ask, eventually, TestLab } from "../support/testLab";

let lab: TestLab;
let access: RegistryAccess;

beforeAll(async () => {
  lab = await TestLab.standing();
  access = await lab.access();
});

const place = (node: string) => ({ instance: lab.instance, host: lab.host(node) });

async function holder(): Promise<string> {
  const [one, ...more] = await holdersOf(lab.instance);
  expect(more).toEqual([]);
  expect(one).toBeDefined();
  return one ?? "";
}

/** The registry answers at the address of all. */
async function serves(): Promise<void> {
  const { username: user, password } = access;
  expect((await ask(lab, access, "/v2/", { user, password, timeoutMs: 2000 })).status).toBe(200);
}

/** Waits until another node alone has the address, and the registry answers there. */
async function movesFrom(former: string, seconds: number): Promise<void> {
  const took = await eventually(60, async () => {
    expect(await holder()).not.toBe(former);
    await serves();
  });
  expect(took).toBeLessThan(seconds);
}

describe("the address leaves a node", () => {
  let undo: () => Promise<unknown> = () => Promise.resolve();
  let watch: VipWatch;
  beforeEach(() => {
    watch = new VipWatch(lab.instance);
    return () => watch.stop();
  });
  afterEach(async () => {
    await undo();
    undo = () => Promise.resolve();
    // Each node's front has to be able to take it over again.
    await eventually(60, async () => {
      for (const { name } of lab.nodes) {
        const listed = await lab.mustRoot(name, "docker ps --format '{{.Names}} {{.Status}}'");
        expect(listed, name).toMatch(/^nginx\.\S+ Up .*\(healthy\)/m);
        expect(listed, name).toMatch(/^moorage-keepalived /m);
        expect(listed, name).toMatch(/^registry-/m);
      }
      await serves();
    });
    // Also while the former holder comes back to itself.
    await eventually(20, async () => expect(watch.samples.length).toBeGreaterThan(5));
    expect(secondsOfTwo(watch.samples, { from: 0, to: Date.now() })).toBeLessThanOrEqual(2);
  });

  test("whose nginx is frozen", async () => {
    const node = await holder();
    undo = () => faults.freeze.end(place(node));
    await faults.freeze.begin(place(node), "nginx");
    await movesFrom(node, 20);
  });

  test.each(["nginx", "keepalived"])(
    "whose %s is killed, though it is started again at once",
    async (program) => {
      const node = await holder();
      await faults.kill.begin(place(node), program);
      await movesFrom(node, 20);
    },
  );

  test("whose keepalived is frozen, which the guard beside it sees", async () => {
    const node = await holder();
    undo = () => faults.freeze.end(place(node));
    await faults.freeze.begin(place(node), "keepalived");
    await movesFrom(node, 30);
  });
});

afterAll(async () => expect(await lab.plan()).toEqual([]));
