import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { load, type RegistryAccess } from "../../../lab/journey/push";
import { RecordingProxy } from "../../support/recordingProxy";
import { helloArchive, TestLab } from "../../support/testLab";
import { until } from "../../support/waiting";

let lab: TestLab;
let access: RegistryAccess;
let proxy: RecordingProxy;

beforeAll(async () => {
  lab = await TestLab.standing();
  access = await lab.access();
  proxy = await RecordingProxy.start(lab.instance);
  // A proxy that does not listen yet records nothing.
  await until("the proxy records requests", async () => {
    await onNode("coreos1", "curl --silent --max-time 2 http://listening.example/ >/dev/null");
    expect(proxy.asked).toContain("GET http://listening.example/");
  });
});

afterAll(() => proxy.stop());
beforeEach(() => proxy.forget());

/** Runs a shell line on a node in a login user's environment. */
const onNode = (node: string, line: string, input = ""): Promise<string> => lab.client(node, line, input);

/** With a configuration of its own, which is removed afterwards. */
const docker = "DOCKER_CONFIG=/tmp/proxy-test docker";

test("Docker's pulls and a user's requests to other networks go through the proxy", async () => {
  for (const { name } of lab.nodes) {
    await onNode(name, `${docker} pull ${name}.outside.example/team/app:1 >/dev/null 2>&1; true`);
    expect(proxy.asked).toContain(`CONNECT ${name}.outside.example:443`);
    await onNode(name, "curl --silent --max-time 5 http://outside.example/ https://outside.example/; true");
  }
  const asked = (what: string) => proxy.asked.filter((one) => one === what).length;
  expect(asked("GET http://outside.example/")).toBe(lab.nodes.length);
  expect(asked("CONNECT outside.example:443")).toBe(lab.nodes.length);
});

test("no push to the registry and no pull from it goes through the proxy", async () => {
  const [pusher, ...pullers] = lab.nodes;
  if (!pusher) throw new Error("the lab has no nodes");
  const repository = `${access.host}/proxied/hello`;
  const login = `${docker} login --username ${access.username} --password-stdin ${access.host} 2>/dev/null`;
  const loaded = await load(lab.instance, pusher, helloArchive(lab));
  await onNode(pusher.name, login, access.password);
  const pushed = await onNode(
    pusher.name,
    `docker tag ${loaded} ${repository}:1 && ${docker} push ${repository}:1`,
  );
  const digest = /digest: (sha256:[0-9a-f]{64})/.exec(pushed)?.[1];
  expect(digest).toBeDefined();
  for (const { name } of pullers) {
    await onNode(name, login, access.password);
    const pulled = await onNode(name, `${docker} pull --quiet ${repository}@${digest}`);
    expect(pulled).toContain(digest);
  }
  for (const { name } of lab.nodes) {
    await onNode(
      name,
      `docker rmi --force ${repository}:1 ${repository}@${digest} >/dev/null 2>&1; rm -r /tmp/proxy-test`,
    );
  }
  expect(proxy.asked).toEqual([]);
});

test("no request to a name or address of the cluster goes through the proxy", async () => {
  const domain = "moorage.test";
  const own = [
    "localhost",
    "127.0.0.1",
    "[::1]",
    lab.instance.vip,
    ...lab.nodes.flatMap(({ name, address }) => [address, name, `${name}.${domain}`]),
    ...lab.nodes.flatMap(({ name }) => [`registry-${name}`, `haproxy-${name}`, `minio-${name}`]),
    // An address of the overlay network.
    "10.20.1.7",
  ];
  // It does not matter whether the request is answered.
  const urls = own.flatMap((name) => [`http://${name}:9/`, `https://${name}:9/`]).join(" ");
  await onNode("coreos1", `curl --silent --parallel --max-time 2 ${urls} >/dev/null; true`);
  await onNode("coreos4", `curl --silent --parallel --max-time 2 ${urls} >/dev/null; true`);
  expect(proxy.asked).toEqual([]);
});
