import { afterEach, beforeAll, expect, test } from "vitest";
import { faults } from "../../lab/faults";
import { groupOf, processesOf } from "../../lab/faults/cgroups";
import { holdersOf } from "../chaos/vip";
import { powerByCommand } from "../support/labCommand";
import { follow } from "../support/runbook";
import { managers, RunbookLab } from "../support/runbookLab";
import { eventually, type TestLab } from "../support/testLab";

/** What neither runs nor ends: a host, Docker, and programs in containers. */

let own: RunbookLab;
let lab: TestLab;

beforeAll(async () => {
  own = await RunbookLab.whole();
  ({ lab } = own);
});

afterEach(async ({ task }) => {
  if (task.result?.state !== "fail") return;
  for (const pid of own.places.flatMap((one) => processesOf(groupOf(one, "systemd")))) goOn(pid);
  await own.mend();
});

function goOn(pid: number): void {
  try {
    process.kill(pid, "SIGCONT");
  } catch {
    // It has ended meanwhile.
  }
}

/** Another node has the registry's address, and it alone. */
const passedOn = (from: string): Promise<number> =>
  eventually(15, async () => {
    const holders = await holdersOf(lab.instance);
    expect(holders).toHaveLength(1);
    expect(holders).not.toContain(from);
    await own.serves();
  });

test("A node is off, or hangs", async () => {
  const [holder = ""] = await holdersOf(lab.instance);
  const layer = await own.push();
  await faults["freeze-host"].begin(own.place(holder));
  try {
    await passedOn(holder);
    await eventually(60, () => own.pulls(layer));
    await own.pushesWithin(60);
    await own.seen(`${holder} reached: `, "swarm nodes: 3 of 4 ready and active");
    const { code, output } = await lab.refresh();
    expect(code, output).toBe(0);
    expect(output).not.toMatch(/deleted/);
    // Its power switch, and nothing else.
    await powerByCommand(lab.instance, holder, "off");
    await powerByCommand(lab.instance, holder, "on");
  } finally {
    await faults["freeze-host"].end(own.place(holder));
  }
  await own.whole(400);
  expect(await lab.plan()).toEqual([]);
});

test("keepalived hangs", async () => {
  const [holder = ""] = await holdersOf(lab.instance);
  const unit = "moorage-keepalived.service";
  const since = Math.floor(Date.now() / 1000);
  await faults.freeze.begin(own.place(holder), "keepalived");
  try {
    await passedOn(holder);
    const said = await lab.mustRoot(holder, `journalctl -u moorage-vip-guard -o cat --since @${since}`);
    expect(said).toContain("keepalived has been silent for 2 s");
    const alive = await lab.root(holder, "sh /etc/moorage/keepalived-alive");
    expect(alive.code, alive.output).not.toBe(0);
    expect(alive.output).toContain("keepalived shows no sign of life");
    // Nobody has seen that it hangs, or started another one.
    expect(await own.isActive(holder, unit)).toBe("active");
    await follow(lab, "keepalived hangs", { on: { NODE: holder } });
  } finally {
    await faults.freeze.end(own.place(holder));
  }
  expect(await own.isActive(holder, unit)).toBe("active");
  await lab.mustRoot(holder, "sh /etc/moorage/keepalived-alive");
  expect(await holdersOf(lab.instance)).not.toContain(holder);
  await own.whole();
});

test("Docker is stopped, or hangs on a node", async () => {
  const node = "coreos4";
  const breaks = [
    "systemctl stop docker.socket docker.service 2>&1",
    "systemctl kill --kill-whom=main --signal=STOP docker.service",
  ];
  for (const line of breaks) {
    await lab.mustRoot(node, line);
    await eventually(60, async () => {
      expect((await lab.root(node, "timeout 5 docker info")).code).not.toBe(0);
      await own.serves();
    });
    await follow(lab, "Docker is stopped, or hangs on a node", { on: { NODE: node } });
    await own.whole();
  }
});

test("A node stays down though it runs", async () => {
  const node = "coreos4";
  const cutOff = /coreos4 is connected, and the Swarm counts it as down/;
  const since = Math.floor(Date.now() / 1000);
  await faults.freeze.begin(own.place(node), "docker");
  try {
    await eventually(180, async () => {
      const journals = managers.map((name) =>
        lab.mustRoot(name, `journalctl -u moorage-swarm-guard -o cat --since @${since}`),
      );
      expect((await Promise.all(journals)).join("")).toMatch(cutOff);
    });
  } finally {
    await faults.freeze.end(own.place(node));
  }
  await own.whole();
});

/** Another container of the service runs than that one. */
const replaced = (node: string, service: string, before: string): Promise<number> =>
  eventually(180, async () => {
    const now = await own.containerOf(node, service);
    expect(now).not.toBe("");
    expect(now).not.toContain(before);
  });

/** Stops all of a container's processes: the first is Docker's own, or others would go on without it. */
const freezeAll = (node: string, container: string): Promise<string> =>
  lab.mustRoot(node, `kill -STOP $(docker top ${container} -eo pid | tail -n +2)`);

test("A container hangs", async () => {
  const node = "coreos2";
  const minio = await own.containerOf(node, `minio-${node}`);
  await freezeAll(node, minio);
  await eventually(60, () => own.serves());
  await follow(lab, "A container hangs", {
    on: { "a manager": "coreos1" },
    names: { SERVICE: `minio-${node}` },
  });
  await replaced(node, `minio-${node}`, minio);
  for (const service of [`registry-${node}`, `s3-${node}`, "nginx"]) {
    const before = await own.containerOf(node, service);
    await freezeAll(node, before);
    await replaced(node, service, before);
    await own.serves();
  }
  await own.whole();
});
