/** A host, Docker or a program in a container neither runs nor ends. */
import { expect, test } from "vitest";
import { faults } from "../../../lab/faults";
import { groupOf, processesOf } from "../../../lab/faults/cgroups";
import { powerByCommand } from "../../support/labCommand";
import { RunbookLab } from "../../support/runbookLab";
import { holdersOf } from "../../support/vip";
import { timed, until } from "../../support/waiting";

const own: RunbookLab = RunbookLab.forFile(async () => {
  for (const pid of own.places.flatMap((one) => processesOf(groupOf(one, "systemd")))) goOn(pid);
  await own.mend();
});

function goOn(pid: number): void {
  try {
    process.kill(pid, "SIGCONT");
  } catch {
    // It has ended.
  }
}

/** The VIP moves to another node, and the registry answers there. */
function movesFrom(node: string, what: string): Promise<void> {
  const hasMoved = async (): Promise<void> => {
    const holders = await holdersOf(own.instance);
    expect(holders).toHaveLength(1);
    expect(holders).not.toContain(node);
    await own.serves();
  };
  return timed(`the VIP moves: ${what} hangs`, () =>
    until("another node has the VIP", hasMoved, { netSeconds: 120 }),
  );
}

test("A node is off, or hangs", async () => {
  const [holder = ""] = await holdersOf(own.instance);
  const layer = await own.push();
  await faults["freeze-host"].begin(own.place(holder));
  try {
    await movesFrom(holder, "a host");
    await own.pullsAgain(layer);
    await own.pushesAgain();
    await own.seen(`${holder} reached: `, "swarm nodes: 3 of 4 ready and active");
    const { code, output } = await own.lab.refresh();
    expect(code, output).toBe(0);
    expect(output).not.toMatch(/deleted/);
    // The power switch is all that is needed.
    await powerByCommand(own.instance, holder, "off");
    await powerByCommand(own.instance, holder, "on");
  } finally {
    await faults["freeze-host"].end(own.place(holder));
  }
  await own.wholeAndUnchanged();
});

test("keepalived hangs", async () => {
  const [holder = ""] = await holdersOf(own.instance);
  await faults.freeze.begin(own.place(holder), "keepalived");
  try {
    await own.seen(`registry VIP: ${own.instance.vip} is on`);
    await own.serves();
    await own.follow("keepalived hangs", { on: { NODE: holder } });
    await movesFrom(holder, "keepalived");
  } finally {
    await faults.freeze.end(own.place(holder));
  }
  expect(await own.isActive(holder, "moorage-keepalived.service")).toBe("active");
  await own.whole();
});

test("Docker is stopped, or hangs on a node", async () => {
  const node = "coreos4";
  const breaks = [
    "systemctl stop docker.socket docker.service 2>&1",
    "systemctl kill --kill-whom=main --signal=STOP docker.service",
  ];
  for (const line of breaks) {
    await own.lab.mustRoot(node, line);
    const isSilent = async (): Promise<void> => {
      expect((await own.lab.root(node, "timeout 5 docker info")).code).not.toBe(0);
      await own.serves();
    };
    await until("Docker is silent on one node, and the registry answers", isSilent, { netSeconds: 300 });
    await own.follow("Docker is stopped, or hangs on a node", { on: { NODE: node } });
    await own.whole();
  }
});

/** Swarm replaces the container of a service. */
function replaced(node: string, service: string, before: string): Promise<void> {
  const runs = async (): Promise<void> => {
    const now = await own.containerOf(node, service);
    expect(now).not.toBe("");
    expect(now).not.toContain(before);
  };
  return until(`another container of ${service} runs`, runs, { netSeconds: 600 });
}

/** Stops all processes of a container: the first one is Docker's own. */
const freezeAll = (node: string, container: string): Promise<string> =>
  own.lab.mustRoot(node, `kill -STOP $(docker top ${container} -eo pid | tail -n +2)`);

test("A container hangs", async () => {
  const node = "coreos2";
  const minio = await own.containerOf(node, `minio-${node}`);
  await freezeAll(node, minio);
  await replaced(node, `minio-${node}`, minio);
  for (const service of [`registry-${node}`, `haproxy-${node}`, "nginx"]) {
    const before = await own.containerOf(node, service);
    await freezeAll(node, before);
    await replaced(node, service, before);
    await own.serves();
  }
  await own.whole();
});
