import { expect, test } from "vitest";
import { faults } from "../../../lab/faults";
import { RunbookLab } from "../../support/runbookLab";
import { holdersOf } from "../../support/vip";
import { until } from "../../support/waiting";

const own = RunbookLab.forFile();

/** Pulls and pushes work through the VIP on another node. */
async function servesWithout(node: string, layer: string): Promise<void> {
  const serves = () => own.serves(`/v2/demo/layers/blobs/sha256:${layer}`);
  await until("the registry has the layer", serves, { netSeconds: 300 });
  await own.pushesAgain();
  const hasMoved = async (): Promise<void> => {
    const holders = await holdersOf(own.instance);
    expect(holders).toHaveLength(1);
    expect(holders).not.toContain(node);
  };
  await until("another node has the VIP", hasMoved, { netSeconds: 150 });
}

test.each(["drop-in", "drop-out"] as const)("A node's packets are lost: %s", async (fault) => {
  const [holder = ""] = await holdersOf(own.instance);
  const layer = await own.push();
  await faults[fault].begin(own.place(holder));
  try {
    await servesWithout(holder, layer);
    await own.seen(`${holder} reached: `, "swarm nodes: 3 of 4 ready and active");
  } finally {
    await faults[fault].end(own.place(holder));
  }
  await own.wholeAndUnchanged();
});

test("A node is cut off from the others", async () => {
  const node = "coreos3";
  const layer = await own.push();
  await faults["cut-off"].begin(own.place(node));
  try {
    await own.follow("A node is cut off from the others", { on: { NODE: node } });
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
    await own.lab.root(node, "systemctl start moorage-keepalived.service");
  }
  await own.wholeAndUnchanged();
});

test("Two nodes have the registry's address", async () => {
  const [holder = ""] = await holdersOf(own.instance);
  const other = own.places.find(({ host }) => host.name !== holder)?.host.name ?? "";
  const filtered = [holder, other];
  const rule = "INPUT -p 112 -j DROP";
  try {
    for (const node of filtered) await own.lab.mustRoot(node, `iptables -I ${rule}`);
    const reds = await own.seen(`registry VIP: ${own.instance.vip} is on ${filtered.sort().join(" and ")}`);
    expect(reds).toHaveLength(1);
  } finally {
    for (const node of filtered) await own.lab.root(node, `iptables -D ${rule}`);
  }
  await own.wholeAndUnchanged();
});
