import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Document } from "yaml";
import { off, on } from "../../lab/lab";
import { pushAndPull, type RegistryAccess } from "../../lab/journey/push";
import { holdersOf } from "../chaos/vip";
import { giveAddressTo } from "../support/address";
import { secondsUntilFound, secondsUntilFrontAnswers } from "../support/found";
import { changedIn, expectInPlace } from "../support/output";
import { updates } from "../support/service";
import { expectSpareStorage } from "../support/spareStorage";
import { ask, eventually, helloArchive, TestLab } from "../support/testLab";

const managers = ["coreos1", "coreos2", "coreos3"];

let lab: TestLab;
let access: RegistryAccess;

beforeAll(async () => {
  lab = await TestLab.standing();
  access = await lab.access();
});

/** The registry answers an authenticated request. */
async function serves(): Promise<void> {
  const answer = await ask(lab, access, "/v2/", {
    user: access.username,
    password: access.password,
    timeoutMs: 1000,
  });
  expect(answer.status).toBe(200);
}

const members = (manager: string): Promise<string> =>
  lab.mustRoot(manager, "docker node ls --format '{{.Hostname}} {{.Status}} {{.ManagerStatus}}'");

/** The Swarm's leader; every node has to be on. */
async function leader(): Promise<string> {
  let found = "";
  await eventually(30, async () => {
    const [, name] = /^(\S+) \S+ Leader$/m.exec(await members("coreos1")) ?? [];
    if (name === undefined) throw new Error("the Swarm has no leader");
    found = name;
  });
  return found;
}

/** Waits until a node is all that it was, so that another one can go off: one at a time is what is promised. */
async function isBack(name: string, survivor: string): Promise<void> {
  const status = managers.includes(name) ? "(Reachable|Leader)" : "";
  await eventually(60, async () => {
    expect(await members(survivor)).toMatch(new RegExp(`^${name} Ready ${status}$`, "m"));
  });
  await eventually(60, () =>
    lab
      .mustRoot(survivor, "docker exec moorage-etcd etcdctl endpoint health --cluster")
      .then(() => undefined),
  );
  await eventually(120, () => expectSpareStorage(lab));
}

/** Cuts the power of the address's holder; gives back the seconds until the registry answers there by another one's front. */
async function secondsUntilServedWithout(name: string): Promise<number> {
  const others = lab.nodes.map((node) => node.name).filter((node) => node !== name);
  const [seconds] = await Promise.all([
    eventually(30, async () => {
      const [holder, ...more] = await holdersOf(lab.instance);
      expect(others).toContain(holder);
      expect(more).toEqual([]);
      await serves();
    }),
    off(lab.instance, lab.host(name)),
  ]);
  return seconds;
}

/** Nodes that were off, and those of them that led the Swarm then. */
const gone: string[] = [];
const led: string[] = [];

const managerLeft = (): string => managers.find((name) => !gone.includes(name)) ?? "";

interface Round {
  readonly who: string;
  /** Chooses the node, and gives it what makes it a special one. */
  readonly pick: () => Promise<string>;
  /** Something that has nothing to do with the node; it stays. */
  readonly change: (config: Document) => void;
  /** The resources that this changes. */
  readonly changed: readonly string[];
  readonly hasAddress?: boolean;
  /** Whether services are started anew, which asks nothing of the node that is off: once is enough. */
  readonly restarts?: boolean;
  /**
   * Whether the refresh, and the update with the node on again, are commands of their own. Elsewhere the update with the
   * node off looks at everything first, and the next round's is the one after it.
   */
  readonly stepByStep?: boolean;
}

/** Labels of a node, which no service has to do with. */
const labelled = (node: string, rack: string): Pick<Round, "change" | "changed"> => ({
  change: (config) => config.setIn(["config", "moorage:nodes", node, "labels", "rack"], rack),
  changed: [`swarm-${node}`],
});

const rounds: readonly Round[] = [
  {
    who: "coreos1, which founded the Swarm and has the address,",
    pick: async () => {
      await giveAddressTo(lab, "coreos1");
      return "coreos1";
    },
    change: (config) => config.setIn(["config", "moorage:edge", "proxyTimeoutSeconds"], 700),
    changed: ["nginx", "nginx-config", "nginx-converged"],
    hasAddress: true,
    restarts: true,
    stepByStep: true,
  },
  {
    // The first was off, so that it does not lead any more.
    who: "another manager, which leads the Swarm,",
    pick: async () => {
      const now = await leader();
      return gone.includes(now) ? managerLeft() : now;
    },
    ...labelled("coreos4", "r1"),
  },
  {
    who: "the third manager",
    pick: () => Promise.resolve(managerLeft()),
    ...labelled("coreos4", "r2"),
  },
  {
    who: "coreos4, a worker,",
    pick: () => Promise.resolve("coreos4"),
    ...labelled("coreos2", "r1"),
  },
];

describe.each(rounds)("with $who powered off", (round) => {
  const { pick, change, changed, hasAddress, restarts, stepByStep } = round;
  let name: string;
  let survivor: string;

  beforeAll(async () => {
    name = await pick();
    survivor = managers.find((manager) => manager !== name) ?? "";
    gone.push(name);
    if ((await leader()) === name) led.push(name);
    const had = (await holdersOf(lab.instance)).includes(name);
    if (hasAddress) expect(had).toBe(true);
    if (had) {
      const seconds = await secondsUntilServedWithout(name);
      console.log(`the registry answers ${seconds} s after ${name} was switched off, which had its address`);
    } else {
      await off(lab.instance, lab.host(name));
    }
    await eventually(15, serves);
  });

  afterAll(() => on(lab.instance, lab.host(name)));

  test("another node has the address, and pushes and pulls go through it", async () => {
    const holders = await holdersOf(lab.instance);
    expect(holders).toHaveLength(1);
    expect(holders).not.toContain(name);
    await pushAndPull(lab.instance, access, helloArchive(lab));
  });

  test("an update of something else works", async () => {
    lab.changeConfig(change);
    const output = await lab.mustUp(...(stepByStep ? [] : ["--refresh"]));
    expect(changedIn(output)).toEqual(expect.arrayContaining([...changed]));
    // What was off before is as it was, and what was looked at first has lost nothing.
    if (round !== rounds[0]) expectInPlace(output);
  });

  if (restarts) {
    test("a front, a registry and a balancer that are started do start, and are found by each front within 3 s", async () => {
      const fronts = lab.nodes.map((node) => node.name).filter((node) => node !== name);
      for (const service of [`registry-${survivor}`, `s3-${survivor}`]) {
        const found = await secondsUntilFound(lab, access, {
          manager: survivor,
          service,
          node: survivor,
          fronts,
        });
        expect(Object.keys(found).sort(), service).toEqual(fronts);
        for (const [front, seconds] of Object.entries(found))
          expect(seconds, `${service} by ${front}`).toBeLessThan(3);
      }
      expect(await secondsUntilFrontAnswers(lab, survivor)).toBeLessThan(3);
    });
  }

  test("a refresh loses nothing, and with the node on again an update replaces nothing", async () => {
    if (stepByStep) {
      const refreshed = await lab.refresh();
      expect(refreshed.code, refreshed.output).toBe(0);
      expect(refreshed.output).not.toMatch(/deleted/);
    }
    await on(lab.instance, lab.host(name));
    await isBack(name, survivor);
    if (stepByStep) expectInPlace(await lab.mustUp());
    // What the node says of tasks that never started there undoes no update that has ended well.
    expect(await updates(lab, survivor)).not.toMatch(/rollback|updating/);
  });
});

test("nothing is left to do once every node was off, the Swarm's leader among them", async () => {
  expect([...gone].sort()).toEqual(lab.nodes.map(({ name }) => name));
  expect(led).not.toEqual([]);
  expect(await lab.plan()).toEqual([]);
});
