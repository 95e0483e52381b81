import { afterEach, beforeAll, expect, test } from "vitest";
import { faults } from "../../lab/faults";
import { holdersOf } from "../chaos/vip";
import { RunbookLab } from "../support/runbookLab";
import { eventually } from "../support/testLab";

let own: RunbookLab;

beforeAll(async () => {
  own = await RunbookLab.whole();
});

afterEach(async ({ task }) => {
  if (task.result?.state === "fail") await own.mend();
});

/** What was pushed is pulled, and more is pushed, through an address that another node alone has. */
async function servesWithout(node: string, layer: string): Promise<void> {
  await eventually(60, () => own.serves(`/v2/demo/layers/blobs/sha256:${layer}`));
  await own.pushesWithin(60);
  await eventually(30, async () => {
    const holders = await holdersOf(own.lab.instance);
    expect(holders).toHaveLength(1);
    expect(holders).not.toContain(node);
  });
}

test.each(["drop-in", "drop-out"] as const)("A node's packets are lost: %s", async (fault) => {
  const [holder = ""] = await holdersOf(own.lab.instance);
  const layer = await own.push();
  await faults[fault].begin(own.place(holder));
  try {
    await servesWithout(holder, layer);
    await own.seen(`${holder} reached: `, "swarm nodes: 3 of 4 ready and active");
  } finally {
    await faults[fault].end(own.place(holder));
  }
  await own.whole(400);
  expect(await own.lab.plan()).toEqual([]);
});

test("A node is cut off from the others", async () => {
  const node = "coreos3";
  const layer = await own.push();
  await faults["cut-off"].begin(own.place(node));
  try {
    await servesWithout(node, layer);
    const reds = await own.seen(
      "swarm nodes: 3 of 4 ready and active",
      "etcd members: 2 of 3 members serve",
      `${node}: MinIO runs, but has no write quorum`,
      "storage healing: 3 of 4 drives can be written",
    );
    expect(reds.filter((red) => red.startsWith(`${node} reached`))).toEqual([]);
  } finally {
    await faults["cut-off"].end(own.place(node));
  }
  await own.whole(400);
  expect(await own.lab.plan()).toEqual([]);
});
