import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Document } from "yaml";
import { faults } from "../../lab/faults";
import { off, on } from "../../lab/lab";
import { pushAndPull, type RegistryAccess } from "../../lab/journey/push";
import { secondsUntilFound, secondsUntilFrontAnswers } from "../support/found";
import { expectSpareStorage } from "../support/spareStorage";
import { ask, eventually, helloArchive, TestLab } from "../support/testLab";

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
    timeoutMs: 3000,
  });
  expect(answer.status).toBe(200);
}

/** Something of the front, which runs on every node, and something that no service has to do with. Both stay. */
const changes: [name: string, change: (config: Document) => void][] = [
  ["coreos1", (config) => config.setIn(["config", "moorage:edge", "proxyTimeoutSeconds"], 700)],
  ["coreos4", (config) => config.setIn(["config", "moorage:nodes", "coreos2", "labels", "rack"], "r1")],
];

describe.each(changes)("with %s powered off", (name, change) => {
  const survivor = "coreos2";

  beforeAll(async () => {
    await off(lab.instance, lab.host(name));
    await eventually(15, serves);
  });

  afterAll(() => on(lab.instance, lab.host(name)));

  test("push and pull go through the address", async () => {
    await pushAndPull(lab.instance, access, helloArchive(lab));
  });

  test("an update of something else works", async () => {
    lab.changeConfig(change);
    const touched = new Set((await lab.plan()).map((step) => step.name));
    expect(touched.size).toBeGreaterThan(0);
    const output = await lab.mustUp();
    const isDone = (resource: string): boolean =>
      new RegExp(` ${resource} (updated|created|replaced)`).test(output);
    expect(
      [...touched].filter((resource) => !isDone(resource)),
      output,
    ).toEqual([]);
  });

  // Of one node: a restart asks nothing of the one that is off.
  if (name === "coreos1") {
    test("a front, a registry and a balancer that are started do start, and are found within 3 s", async () => {
      const registry = `registry-${survivor}`;
      const fronts = lab.nodes.map((node) => node.name).filter((node) => node !== name);
      for (const service of [registry, `s3-${survivor}`]) {
        const restart = { manager: survivor, service, registry, fronts };
        expect(await secondsUntilFound(lab, access, restart), service).toBeLessThan(3);
      }
      expect(await secondsUntilFrontAnswers(lab, survivor)).toBeLessThan(3);
    });
  }

  test("a refresh loses nothing, and with the node on again an update replaces nothing", async () => {
    const refreshed = await lab.refresh();
    expect(refreshed.code, refreshed.output).toBe(0);
    expect(refreshed.output).not.toMatch(/deleted/);
    await on(lab.instance, lab.host(name));
    await eventually(60, async () => {
      const list = await lab.mustRoot(survivor, "docker node ls --format '{{.Hostname}} {{.Status}}'");
      expect(list).toContain(`${name} Ready`);
    });
    // The next node goes off soon, and one at a time is what is promised.
    await eventually(120, () => expectSpareStorage(lab));
    const plan = await lab.plan();
    expect(plan.filter((step) => /replace|delete|create/.test(step.op))).toEqual([]);
    await lab.mustUp();
    expect(await lab.plan()).toEqual([]);
  });
});

test("a node whose Docker hangs is cut off, and registers once it goes on", async () => {
  const place = { instance: lab.instance, host: lab.host("coreos4") };
  const cutOff = /coreos4 is connected, and the Swarm counts it as down/;
  const since = Math.floor(Date.now() / 1000);
  await faults.freeze.begin(place, "docker");
  try {
    await eventually(180, async () => {
      const journals = ["coreos1", "coreos2", "coreos3"].map((name) =>
        lab.mustRoot(name, `journalctl -u moorage-swarm-guard -o cat --since @${since}`),
      );
      expect((await Promise.all(journals)).join("")).toMatch(cutOff);
    });
  } finally {
    await faults.freeze.end(place);
  }
  await eventually(60, async () => {
    const list = await lab.mustRoot("coreos1", "docker node ls --format '{{.Hostname}} {{.Status}}'");
    expect(list).toContain("coreos4 Ready");
  });
  await eventually(120, () => expectSpareStorage(lab));
});
