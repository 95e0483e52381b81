import { beforeAll, expect, test } from "vitest";
import { nodeNetwork, type Connection, type NodeNetworkInputs } from "@moorage/hosts";
import { off, on } from "../../lab/lab";
import { accessTo } from "../../lab/ssh";
import { eventually, TestLab } from "../support/testLab";

let lab: TestLab;

beforeAll(async () => {
  lab = await TestLab.standing();
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
