import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { off, on } from "../../../lab/lab";
import { TestLab } from "../../support/testLab";
import { redsOf, verifyJson, verifyText } from "../../support/verify";
import { timed, until } from "../../support/waiting";

let lab: TestLab;

beforeAll(async () => {
  lab = await TestLab.standing();
});

const keys = (): Promise<string> =>
  lab.mustRoot("coreos1", "docker exec moorage-etcd etcdctl get '' --prefix --keys-only");

describe("moorage verify on a running stack", () => {
  test("is green and leaves nothing behind", async () => {
    const before = await keys();
    const { code, report } = await verifyJson(lab);
    expect(redsOf(report)).toEqual([]);
    expect(code).toBe(0);
    expect(Object.keys(report.nodes)).toEqual(["coreos1", "coreos2", "coreos3", "coreos4"]);
    expect(report.etcdMembers.map(({ name }) => name)).toEqual(["coreos1", "coreos2", "coreos3"]);
    expect(report.etcdMembers.filter(({ leader }) => leader)).toHaveLength(1);
    const sends = report.etcdMembers.flatMap((member) => member.sends);
    expect(sends.filter(({ sentBytes, latencyMs }) => sentBytes > 0 && Number(latencyMs) > 0)).toHaveLength(
      6,
    );
    expect(report.swarmNodes.map(({ address, labels }) => [address, labels.region])).toEqual(
      [11, 12, 13, 14].map((last) => [`10.0.2.${last}`, "dc1"]),
    );
    expect(report.overlay.map(({ node }) => node)).toEqual(["coreos1", "coreos2", "coreos3", "coreos4"]);
    const subjects = ["etcd", "swarm", "services", "storage", "certificates", "registry"];
    expect(Object.keys(report.subjects)).toEqual(subjects);
    const namesOf = (checks: readonly { name: string }[] = []) => checks.map(({ name }) => name);
    for (const [name, { checks }] of Object.entries(report.nodes)) {
      const ofEtcd = ["moorage-etcd.service", "/etc/moorage/etcd/member.pem"];
      const wanted = ["clock", "docker.service", "docker", ...(name === "coreos4" ? [] : ofEtcd)];
      expect(namesOf(checks), name).toEqual(expect.arrayContaining(wanted));
    }
    const ofEtcd = [
      "endpoint health --cluster",
      "members",
      "put and get by etcdctl",
      "put and get over HTTP",
    ];
    expect(namesOf(report.subjects.etcd)).toEqual(ofEtcd);
    expect(namesOf(report.subjects.swarm)).toEqual(["nodes", "overlay"]);
    expect(namesOf(report.subjects.storage)).toEqual([...Object.keys(report.nodes), "healing"]);
    expect(namesOf(report.subjects.certificates)).toEqual(["authority", "front"]);
    expect(namesOf(report.subjects.registry)).toEqual(["VIP", "front", "login", "push and pull"]);
    expect(await keys()).toBe(before);
  });

  test("prints lines without a secret", async () => {
    const { code, output } = await verifyText(lab, "--verbose", "--full");
    expect(code, output).toBe(0);
    expect(output).toMatch(/^All green: \d+ checks in [\d.]+ s$/m);
    expect(output).toMatch(/^ {2}overlay on coreos3: \w{25} {2}10\.20\.1\.0\/24$/m);
    const { password, sshPrivateKey } = await lab.outputs();
    expect(output).not.toContain(String(password));
    expect(output).not.toContain(String(sshPrivateKey).split("\n")[1]);
    expect(output).not.toMatch(/PRIVATE KEY/);
  });

  test("shows no secret in a process list", async () => {
    const { password } = await lab.outputs();
    const stop = "/run/looked-enough";
    const nodes = ["coreos1", "coreos2"];
    // Without a pause, on the node itself: the processes live for a tenth of a second.
    const watch = `rm -f ${stop}; for i in $(seq 3000); do [ ! -e ${stop} ] || break; ps -eo args; done | sort -u`;
    const watched = Promise.all(nodes.map((node) => lab.mustRoot(node, watch)));
    await verifyJson(lab);
    for (const node of nodes) await lab.mustRoot(node, `touch ${stop}`);
    const all = (await watched).join("\n");
    expect(all).toMatch(/etcdctl/);
    expect(all).not.toContain(String(password));
    expect(all).not.toMatch(/PRIVATE KEY/);
  });
});

describe("moorage verify with a node off", () => {
  const name = "coreos4";
  beforeAll(() => off(lab.instance, lab.host(name)));
  afterAll(async () => {
    await on(lab.instance, lab.host(name));
    const green = async (): Promise<void> => expect(redsOf((await verifyJson(lab)).report)).toEqual([]);
    await until("moorage verify is green again", green, { netSeconds: 600 });
  });

  test("is red for that node alone", async () => {
    const isDown = async (): Promise<void> => {
      const list = await lab.mustRoot("coreos1", "docker node ls --format '{{.Hostname}} {{.Status}}'");
      expect(list).toContain(`${name} Down`);
    };
    await until("Swarm reports the node as down", isDown, { netSeconds: 300 });
    const { code, report } = await timed("moorage verify with a node off", () => verifyJson(lab));
    expect(code).toBe(1);
    const reds = redsOf(report);
    expect(reds[0]).toMatch(/^coreos4 reached: no SSH connection/);
    expect(reds).toContainEqual(expect.stringMatching(/^swarm nodes: 3 of 4 ready and active/));
    expect(reds).toContainEqual(expect.stringMatching(/^storage coreos4: /));
    expect(reds.filter((line) => /^(coreos[123]|etcd|certificates|registry) /.test(line))).toEqual([]);
  });
});
