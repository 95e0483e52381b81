import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Document } from "yaml";
import { off, on } from "../../lab/lab";
import { pushAndPull, type RegistryAccess } from "../../lab/journey/push";
import { ask, eventually, helloArchive, TestLab } from "../support/testLab";

let lab: TestLab;
let access: RegistryAccess;
let before: string;

beforeAll(async () => {
  lab = await TestLab.standing();
  access = await lab.access();
  before = lab.stackFile();
});

afterAll(async () => {
  lab.changeConfig(before);
  await lab.mustUp();
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

/**
 * A node's own front answers, and some of it from the node's own registry and what is behind that: of two dozen
 * repositories each registry has its share.
 */
async function throughOwnFront(node: string, ids: { front: string; registry: string }): Promise<void> {
  const agent = `probe-${randomBytes(6).toString("hex")}`;
  const config = [
    `user = "${access.username}:${access.password}"`,
    `user-agent = ${agent}`,
    `cacert = /etc/docker/certs.d/${access.host}/ca.crt`,
    `connect-to = ::${lab.host(node).address}:`,
    'write-out = "%{http_code} "',
    "max-time = 2",
    ...Array.from({ length: 24 }, (_, at) => [
      `url = https://${access.host}/v2/probe/${at}/tags/list`,
      "output = /dev/null",
    ]).flat(),
  ];
  const statuses = await lab.client("client1", "curl --silent --config - || true", config.join("\n"));
  // An empty list: the registry takes a repository without tags for one that may still come.
  expect(new Set(statuses.trim().split(" "))).toEqual(new Set(["200"]));
  const addresses = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}";
  const own = await lab.mustRoot(node, `docker inspect --format '${addresses}' ${ids.registry}`);
  const said = await lab.mustRoot(node, `docker logs --since 10s ${ids.front} 2>&1 | grep ${agent}`);
  const answered = said
    .trim()
    .split("\n")
    .map((line) => (JSON.parse(line) as { upstream: string }).upstream.split(", ").at(-1)?.split(":")[0]);
  const ownOnes = own.trim().split(" ");
  expect(answered.some((address) => ownOnes.includes(address ?? ""))).toBe(true);
}

/** Something of the front, which runs on every node, and something that no service has to do with. */
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

  test("a front and a balancer that are started do start, and are found within 3 s", async () => {
    const former = new Map<string, string>();
    /** A service's container on this node once it is up, and healthy where that is looked at. */
    const container = async (service: string): Promise<string> => {
      const filter = `--filter label=com.docker.swarm.service.name=${service} --filter status=running`;
      const id = (await lab.mustRoot(survivor, `docker ps --quiet ${filter}`)).trim();
      expect(id, service).toMatch(/^[0-9a-f]+$/);
      expect(id, service).not.toBe(former.get(service));
      const state = "{{if .State.Health}}{{.State.Health.Status}}{{else}}{{.State.Status}}{{end}}";
      expect(await lab.mustRoot(survivor, `docker inspect --format '${state}' ${id}`)).toMatch(
        /^(healthy|running)$/m,
      );
      return id;
    };
    for (const service of [`s3-${survivor}`, `registry-${survivor}`, "nginx"]) {
      former.clear();
      former.set(service, await container(service));
      await lab.mustRoot(survivor, `docker kill ${former.get(service)}`);
      await eventually(60, async () => void (await container(service)));
      const back = Date.now();
      const ids = { front: await container("nginx"), registry: await container(`registry-${survivor}`) };
      let asked = 0;
      await eventually(20, async () => {
        asked = Date.now();
        await throughOwnFront(survivor, ids);
      });
      expect((asked - back) / 1000, service).toBeLessThan(3);
    }
  });

  test("a refresh loses nothing, and with the node on again an update replaces nothing", async () => {
    const refreshed = await lab.refresh();
    expect(refreshed.code, refreshed.output).toBe(0);
    expect(refreshed.output).not.toMatch(/deleted/);
    await on(lab.instance, lab.host(name));
    await eventually(60, async () => {
      const list = await lab.mustRoot(survivor, "docker node ls --format '{{.Hostname}} {{.Status}}'");
      expect(list).toContain(`${name} Ready`);
    });
    const plan = await lab.plan();
    expect(plan.filter((step) => /replace|delete|create/.test(step.op))).toEqual([]);
    await lab.mustUp();
    expect(await lab.plan()).toEqual([]);
  });
});
