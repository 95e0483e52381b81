/**
 * The story that README tells, on real hosts: four bare machines become a registry that is pushed to and pulled from. A
 * user is added without a restart. What was altered by hand is repaired. Pulls go on without the store, and the registry
 * outlives the holder of its address. Nothing secret is in clear in the state, and no port is open that docs/security.md
 * does not list. What was pushed outlives `pulumi destroy`, and an update that is killed half way is finished by the next one.
 */
import { beforeAll, expect, test } from "vitest";
import type { Document } from "yaml";
import { off, on } from "../../lab/lab";
import { introduce, pushAndPull, type RegistryAccess } from "../../lab/journey/push";
import { containers } from "../support/containers";
import { documented, everyPort, openPorts } from "../support/listeners";
import { changedIn, ended, expectInPlace } from "../support/output";
import { descendantsOf, endAll } from "../support/processes";
import { expectNoSecret, secretsOf } from "../support/secrets";
import { expectUnchanged } from "../support/service";
import { expectSpareStorage } from "../support/spareStorage";
import { ask, helloArchive, TestLab } from "../support/testLab";
import { holdersOf } from "../support/vip";
import { timed, until } from "../support/waiting";

const managers = ["coreos1", "coreos2", "coreos3"];
const authority = "/etc/docker/certs.d/10.0.2.10/ca.crt";

let lab: TestLab;
let access: RegistryAccess;
/** Of the image that was pushed. */
let digest: string;

/** etcd is an option, which tests/proof/lab has. */
function withoutEtcd(config: Document): void {
  config.deleteIn(["config", "moorage:etcd"]);
  config.deleteIn(["config", "moorage:images", "etcd"]);
}

const swarm = (line: string, manager = "coreos1"): Promise<string> => lab.mustRoot(manager, line);

/** The registry answers a user through the VIP, at a node other than this one. */
async function servesWithout(node: string): Promise<void> {
  const holders = await holdersOf(lab.instance);
  expect(holders).toHaveLength(1);
  expect(holders).not.toContain(node);
  const user = { user: access.username, password: access.password };
  expect((await ask(lab, access, "/v2/", user)).status).toBe(200);
}

beforeAll(async () => {
  lab = await TestLab.open();
  lab.changeConfig(withoutEtcd);
});

test("`pulumi up` turns bare hosts into a registry, pushed to by one client and pulled from by another", async () => {
  await timed("first up", () => lab.mustUp());
  access = await lab.recordAccess();
  for (const client of ["client1", "client2"]) await introduce(lab.instance, client, access);
  digest = await pushAndPull(lab.instance, access, helloArchive(lab));
  const { report } = (await lab.outputs()) as { report: { status: string }[] };
  expect(report.length).toBeGreaterThan(4);
  expect(report.filter(({ status }) => status !== "ok")).toEqual([]);
});

test("a second `up` changes nothing", async () => {
  expectUnchanged(await timed("up without a change", () => lab.up()));
});

test("a user is added on every edge node by one `up`, and no container is replaced", async () => {
  const before = await containers(lab);
  const rights = [{ repositories: "added/*", access: "write" }];
  lab.changeConfig((config) => config.setIn(["config", "moorage:registry", "users", "added"], { rights }));
  await timed("up with one more user", () => lab.mustUp());
  const { passwords } = (await lab.outputs()) as { passwords: Record<string, string> };
  for (const { address } of lab.nodes) {
    const login = `docker login --username added --password-stdin ${address}`;
    await introduce(lab.instance, "client2", { ...access, host: address });
    await lab.client("client2", login, passwords.added);
    await introduce(lab.instance, "client2", { ...access, host: address });
  }
  expect(await containers(lab)).toEqual(before);
});

test("a file, a label and a service altered by hand are repaired by `up --refresh`", async () => {
  const certificate = await lab.mustRoot("coreos3", `cat ${authority}`);
  await lab.mustRoot("coreos3", `echo altered >> ${authority}`);
  await swarm("docker node update --label-rm region coreos4");
  await swarm("docker service update --detach --env-add ALTERED=yes registry-coreos2");

  const output = await timed("up --refresh after three changes by hand", () => lab.mustUp("--refresh"));

  expect(changedIn(output)).toEqual(
    expect.arrayContaining(["coreos3-base", "registry-coreos2", "swarm-coreos4"]),
  );
  expect(await lab.mustRoot("coreos3", `cat ${authority}`)).toBe(certificate);
  expect(await swarm("docker node inspect coreos4")).toContain('"region": "dc1"');
  expect(await swarm("docker service inspect registry-coreos2 --format '{{json .Spec}}'")).not.toContain(
    "ALTERED",
  );
  expect(await lab.plan()).toEqual([]);
});

test("with all of MinIO stopped, every edge node serves what was pulled through it, and a push is refused", async () => {
  // An image for each node: what Docker has of another one it does not ask for.
  const images = lab.nodes.map(({ name, address }) => `${address}/demo/${name}`);
  const digests: string[] = [];
  for (const image of images) {
    await introduce(lab.instance, "client1", { ...access, host: image.split("/")[0] ?? "" });
    const make = `tar -c /etc/hostname | docker import - ${image}:1 && docker push ${image}:1`;
    digests.push(/digest: (sha256:\w+)/.exec(await lab.client("client1", make))?.[1] ?? "none");
  }
  const pull = (image: string): Promise<string> =>
    lab.client("client2", `docker image prune --all --force >/dev/null && docker pull --quiet ${image}`);
  for (const image of images) await pull(`${image}:1`);
  const members = lab.nodes.map(({ name }) => `minio-${name}`);
  await swarm(`docker service scale --detach ${members.map((name) => `${name}=0`).join(" ")}`);

  const push = { method: "POST", user: access.username, password: access.password };
  await until("a push is refused", async () => {
    const { status, headers, body } = await ask(lab, access, "/v2/demo/refused/blobs/uploads/", push);
    expect({ status, body }).toEqual({ status: 503, body: expect.stringContaining("too few members") });
    expect(headers["retry-after"]).toBe("5");
  });
  for (const [index, image] of images.entries()) {
    await pull(`${image}:1`);
    expect(await pull(`${image}@${digests[index]}`)).toContain(digests[index]);
  }

  const repaired = await timed("up --refresh with MinIO stopped", () => lab.mustUp("--refresh"));
  expect(changedIn(repaired)).toEqual(expect.arrayContaining(members));
  await pushAndPull(lab.instance, access, helloArchive(lab));
});

test("with the VIP's holder off, push, pull and an unrelated `up` work; with it on again, all is whole", async () => {
  const [holder = ""] = await holdersOf(lab.instance);
  const survivor = managers.find((name) => name !== holder) ?? "";
  const other = lab.nodes.find(({ name }) => name !== holder && name !== survivor)?.name ?? "";

  await timed("the VIP's holder is switched off, and another node answers", () =>
    Promise.all([
      off(lab.instance, lab.host(holder)),
      until("another node answers at the VIP", () => servesWithout(holder)),
    ]),
  );
  await pushAndPull(lab.instance, access, helloArchive(lab));
  lab.changeConfig((config) => config.setIn(["config", "moorage:nodes", other, "labels", "rack"], "r1"));
  expect(changedIn(await lab.mustUp())).toContain(`swarm-${other}`);

  await on(lab.instance, lab.host(holder));
  await timed("MinIO is whole after a node returned", () =>
    until("MinIO can spare any node", () => expectSpareStorage(lab), { netSeconds: 600 }),
  );
  expectInPlace(await lab.mustUp("--refresh"));
  const services = await swarm("docker service ls --format '{{.Name}} {{.Replicas}}'", survivor);
  for (const service of services.trim().split("\n")) expect(service).toMatch(/ (\d+)\/\1$/);
});

test("the state holds no secret in clear", async () => {
  const secrets = await secretsOf(lab);
  expect(secrets.length).toBeGreaterThan(20);
  expectNoSecret(secrets, { state: await lab.state() });
});

test("no TCP port answers a client but those that docs/security.md lists", async () => {
  const client = lab.host("client1");
  for (const { name, address } of lab.nodes) {
    const open = await openPorts(client, { addresses: [address], ports: everyPort });
    const ports = open.map(({ port }) => port);
    expect(documented(managers.includes(name)), name).toEqual(
      expect.arrayContaining(ports.map((port) => `${port}/tcp`)),
    );
    // A scan that reaches nothing finds nothing.
    expect(ports, name).toEqual(expect.arrayContaining([22, 443]));
  }
});

test("what was pushed outlives `destroy`, and an `up` that was killed half way is finished by the next", async () => {
  await timed("destroy", async () => {
    const { code, output } = await lab.pulumi(["destroy", "--yes", "--skip-preview"]);
    expect(code, output).toBe(0);
  });

  const killed = lab.startUp();
  await ended(killed).saying(/docker:index:Service minio-\S+ creating/);
  const plugins = descendantsOf(killed.pid ?? 0);
  killed.kill("SIGKILL");
  endAll(plugins);
  const locked = await lab.up();
  expect(locked.code).not.toBe(0);
  expect(locked.output).toMatch(/currently locked by 1 lock/);
  expect((await lab.pulumi(["cancel", "--yes"])).code).toBe(0);

  await lab.mustUp();
  access = await lab.recordAccess();
  await introduce(lab.instance, "client2", access);
  const image = `${access.host}/demo/hello@${digest}`;
  await lab.client("client2", `docker image rm --force ${image}`);
  expect(await lab.client("client2", `docker pull --quiet ${image}`)).toContain(digest);
});
