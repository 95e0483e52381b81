/** Swarm, etcd or MinIO lack members. Requests that cannot be served are refused clearly (docs/decisions/0024). */
import { expect, test } from "vitest";
import type { Place } from "../../../lab/faults";
import { begin, takeBack } from "../../support/hurt";
import { refusalProblems, type Known } from "../../support/refusal";
import { managers, RunbookLab } from "../../support/runbookLab";
import { holdersOf } from "../../support/vip";
import { timed, until } from "../../support/waiting";

/** Until a member is known to be gone, a request may hang for a minute: it is repeated. */
const REFUSED_MS = 5000;
const NET = { netSeconds: 500 };
const power = { fault: "power" } as const;

const own = RunbookLab.forFile();

async function isRefused(what: "pushes" | "everything", known: Known): Promise<void> {
  expect(await refusalProblems(what, known, own.asksFor(REFUSED_MS))).toEqual([]);
}

/** Powers nodes off for the time of `work`. */
async function without(lost: readonly Place[], work: () => Promise<void>): Promise<void> {
  await begin(power, lost);
  try {
    await work();
  } finally {
    await takeBack(power, lost);
  }
}

const swarmIsLost = (): Promise<void> =>
  until(
    "the Swarm has no quorum",
    async () => expect((await own.lab.root("coreos1", "timeout 20 docker node ls")).code).not.toBe(0),
    NET,
  );

test("Two of three managers are off", async () => {
  const layer = await own.push();
  const known = await own.known();
  await without(
    ["coreos2", "coreos3"].map((name) => own.place(name)),
    async () => {
      await until("pushes are refused", () => isRefused("pushes", known), NET);
      await own.pullsAgain(layer);
      await swarmIsLost();
      // The registry's clients notice no more of that.
      await isRefused("pushes", known);
    },
  );
  await own.whole();
  await own.pulls(layer);
});

test("Two of three managers lost their Swarm for good", async () => {
  const { lab } = own;
  for (const name of ["coreos2", "coreos3"]) {
    await lab.mustRoot(
      name,
      "systemctl stop docker.socket docker.service 2>&1 && rm -r /var/lib/docker/swarm && systemctl start docker.socket docker.service",
    );
  }
  await swarmIsLost();
  await own.follow("Two of three managers lost their Swarm for good", {
    on: { "the manager that is left": "coreos1" },
    names: { ADDRESS: "10.0.2.11" },
  });
  const list = "docker node ls --format '{{.Hostname}} {{.Status}} {{if .ManagerStatus}}manager{{end}}'";
  const listed = (await lab.mustRoot("coreos1", list)).split("\n").map((line) => line.trim());
  expect(listed.filter(Boolean).sort()).toEqual([
    ...managers.map((name) => `${name} Ready manager`),
    "coreos4 Ready",
  ]);
  await own.wholeAndUnchanged();
});

test("Two storage nodes are off: their MinIO alone, and then a third", async () => {
  const pair = ["coreos3", "coreos4"];
  const layer = await own.push();
  const known = await own.known();
  // Swarm would restart a killed member.
  const scale = (node: string, to: number): Promise<string> =>
    own.lab.mustRoot("coreos1", `docker service scale --detach minio-${node}=${to}`);
  try {
    for (const node of pair) await scale(node, 0);
    await timed("pushes are refused after two members were stopped", () =>
      until("pushes are refused", () => isRefused("pushes", known), NET),
    );
    await own.pullsAgain(layer);
    await isRefused("pushes", known);
    await scale("coreos2", 0);
    await timed("pulls are refused after a third member was stopped", () =>
      until("everything is refused", () => isRefused("everything", known), NET),
    );
  } finally {
    for (const node of [...pair, "coreos2"]) await scale(node, 1);
  }
  await timed("a push is accepted after the members were started", () => own.pushesAgain());
  await own.wholeAndUnchanged();
  await own.pulls(layer);
  expect((await own.known()).digest).toBe(known.digest);
});

test("Three storage nodes are off", async () => {
  const [left = own.place("coreos1"), ...lost] = own.places;
  const layer = await own.push();
  const known = await own.known();
  const manifest = { path: `/v2/${known.repository}/manifests/${known.digest}`, method: "GET" };
  await without(lost, async () => {
    const isLeft = async (): Promise<void> => {
      expect(await holdersOf(own.instance)).toEqual([left.host.name]);
      await isRefused("everything", known);
    };
    await until("the node that is left has the VIP, and refuses", isLeft, NET);
  });
  await own.pullsAgain(layer);
  await own.whole();
  const read = await own.asksFor(60_000)([manifest]);
  expect(read.map((heard) => heard.digest)).toEqual([known.digest]);
});
