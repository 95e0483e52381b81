/** Updates while a node is off. tests/lab/story.test.ts switches the VIP's holder off, tests/proof/faults every node under load. */
import { beforeAll, expect, test } from "vitest";
import { off, on } from "../../../lab/lab";
import { pushAndPull, type RegistryAccess } from "../../../lab/journey/push";
import { etcdctl } from "../../support/etcd";
import { changedIn, expectInPlace } from "../../support/output";
import { updates } from "../../support/service";
import { expectSpareStorage } from "../../support/spareStorage";
import { ask, helloArchive, TestLab } from "../../support/testLab";
import { timed, until } from "../../support/waiting";

const managers = ["coreos1", "coreos2", "coreos3"];

let lab: TestLab;
let access: RegistryAccess;

beforeAll(async () => {
  lab = await TestLab.standing();
  access = await lab.access();
});

async function serves(): Promise<void> {
  const { username: user, password } = access;
  expect((await ask(lab, access, "/v2/", { user, password, timeoutMs: 1000 })).status).toBe(200);
}

const members = (manager: string): Promise<string> =>
  lab.mustRoot(manager, "docker node ls --format '{{.Hostname}} {{.Status}} {{.ManagerStatus}}'");

/** Swarm's leader while every node is on. */
const leader = (): Promise<string> =>
  until("Swarm has a leader", async () => {
    const [, name] = /^(\S+) \S+ Leader$/m.exec(await members("coreos1")) ?? [];
    if (name === undefined) throw new Error("the Swarm has no leader");
    return name;
  });

/** Waits until the node is in Swarm, etcd and MinIO again, so that another one may go off. */
async function isBack(name: string, survivor: string): Promise<void> {
  const status = managers.includes(name) ? "(Reachable|Leader)" : "";
  const inSwarm = async (): Promise<void> =>
    expect(await members(survivor)).toMatch(new RegExp(`^${name} Ready ${status}$`, "m"));
  const net = { netSeconds: 600 };
  await until(`${name} is in the Swarm`, inSwarm, net);
  await until("etcd is healthy", () => etcdctl(lab, survivor, "endpoint health --cluster"), net);
  await until("MinIO can spare any node", () => expectSpareStorage(lab), net);
}

/** Does `work` while a node is off. Pushes and pulls work meanwhile. @param work gets a manager that is on */
async function without(name: string, work: (survivor: string) => Promise<void>): Promise<void> {
  const survivor = managers.find((manager) => manager !== name) ?? "";
  await off(lab.instance, lab.host(name));
  try {
    await timed("the registry answers after a node lost power", () => until("the registry answers", serves));
    await pushAndPull(lab.instance, access, helloArchive(lab));
    await work(survivor);
  } finally {
    await on(lab.instance, lab.host(name));
  }
  await isBack(name, survivor);
  // The returned node reports tasks that never started there: no finished update may be rolled back for them.
  expect(await updates(lab, survivor)).not.toMatch(/rollback|updating/);
}

/** Changes a label, of which no service depends, by an update that refreshes first. */
async function changeLabel(node: string): Promise<void> {
  lab.changeConfig((config) => config.setIn(["config", "moorage:nodes", node, "labels", "rack"], "r1"));
  const output = await lab.mustUp("--refresh");
  expect(changedIn(output)).toContain(`swarm-${node}`);
  expectInPlace(output);
}

test("while coreos1, which founded the Swarm, is off, an update changes nginx on the others, and a refresh loses nothing", async () => {
  lab.changeConfig((config) => config.setIn(["config", "moorage:edge", "proxyTimeoutSeconds"], 700));
  await without("coreos1", async (survivor) => {
    const output = await lab.mustUp();
    expect(changedIn(output)).toEqual(expect.arrayContaining(["proxies-coreos2", "proxies-coreos4"]));
    expect(output).toMatch(/coreos1: cannot be reached: the files of proxies stay as they are/);
    const settings = await lab.mustRoot(survivor, "cat /etc/moorage/nginx/current/upload.conf");
    expect(settings).toContain("proxy_read_timeout 700s;");
    const refreshed = await lab.refresh();
    expect(refreshed.code, refreshed.output).toBe(0);
    expect(refreshed.output).not.toMatch(/deleted/);
  });
  expect(changedIn(await lab.mustUp())).toContain("proxies-coreos1");
  expect(await lab.mustRoot("coreos1", "cat /etc/moorage/nginx/current/upload.conf")).toContain("700s;");
});

test("while Swarm's leader is off, an update changes a label and replaces nothing", async () => {
  await without(await leader(), () => changeLabel("coreos4"));
});

test("while a worker is off, an update changes a label and replaces nothing", async () => {
  await without("coreos4", () => changeLabel("coreos2"));
  expect(await lab.plan()).toEqual([]);
});
