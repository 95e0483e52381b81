import { afterAll, beforeAll, expect, test } from "vitest";
import { nodeNetwork, type Connection, type NodeNetworkInputs } from "@moorage/hosts";
import { must } from "../../lab/exec";
import { off, on } from "../../lab/lab";
import { accessTo } from "../../lab/ssh";
import { expectInService } from "../support/service";
import { eventually, TestLab } from "../support/testLab";

const node = "coreos4";
const tryoutSeconds = 15;
/** Its network alone: an address of a node is one that every node's Docker asks without the proxy, and is restarted for. */
const alone = ["--target", `**::${node}-network`];

let lab: TestLab;
let before: string;

beforeAll(async () => {
  lab = await TestLab.standing();
  before = lab.stackFile();
  // A second network card, until the node's next boot.
  const { netns } = lab.host(node);
  await must("ip", ["-n", netns, "link", "add", "eth1", "type", "veth", "peer", "name", "plug1"]);
  await must("ip", ["-n", netns, "link", "set", "plug1", "up"]);
});

afterAll(async () => {
  lab.changeConfig(before);
  await lab.mustUp(...alone);
  expect(await lab.mustRoot(node, "ip -br address show eth1; ls /etc/systemd/network")).not.toMatch(
    /10\.40|eth1\.n/,
  );
});

test("a further interface is set up on a node as it runs, and stays", async () => {
  lab.changeConfig((config) => {
    config.setIn(["config", "moorage:network", "tryoutSeconds"], tryoutSeconds);
    const nics = { eth1: { address: "10.40.0.14/24", mtu: 1400 } };
    config.setIn(["config", "moorage:nodes", node, "nics"], nics);
  });
  const preview = await lab.pulumi(["preview", "--diff"]);
  expect(preview.output).toMatch(
    /coreos4: this update changes its network, the node drained meanwhile: writes \/etc\/systemd\/network\/10-eth1\.network; goes back by itself unless SSH returns within 15 s/,
  );
  expect(preview.output).toContain("+ /etc/systemd/network/10-eth1.network");
  expect(await lab.mustUp(...alone)).toMatch(/coreos4: has its new network after \d+ s/);
  expect(await lab.mustRoot(node, "ip address show eth1")).toMatch(/mtu 1400[^]*inet 10\.40\.0\.14\/24/);
  await expectInService(lab, node);
  expect(await lab.plan(...alone)).toEqual([]);
});

test("power that is lost while a network is tried brings the former one back, too", async () => {
  const host = lab.host("client2");
  const access = accessTo(lab.instance, host);
  if (!access) throw new Error("client2 has no access");
  const file = "/etc/systemd/network/20-lab.network";
  const former = await lab.mustRoot(host.name, `cat ${file}`);
  const { user, hostKey, identityFile } = access;
  const connection: Connection = {
    node: host.name,
    host: "127.0.0.1",
    port: host.sshPort,
    user,
    hostKey,
    identityFile,
  };
  const inputs = (content: string): NodeNetworkInputs => ({
    connection,
    service: "systemd-networkd",
    files: { [file]: { content, mode: 0o644, apply: { action: "none" } } },
    tryoutSeconds: 600,
  });
  const cut = inputs(former.replace(host.address, "10.0.9.9"));
  const update = nodeNetwork.update("", inputs(former), cut).then(
    () => "",
    (error: Error) => error.message,
  );
  await eventually(20, async () => {
    expect(await lab.mustRoot(host.name, "ip -br address show eth0")).toContain("10.0.9.9");
  });
  await off(lab.instance, host);
  await on(lab.instance, host);
  expect(await update).toMatch(/client2: went back by itself to its former network/);
  expect(await lab.mustRoot(host.name, `cat ${file}; ls -d /var/lib/moorage/network 2>&1; true`)).toMatch(
    new RegExp(`Address=${host.address}/24[^]*No such file`),
  );
  expect(await lab.client(host.name, "hostname")).toBe(`${host.name}\n`);
});
