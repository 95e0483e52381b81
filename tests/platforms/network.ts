import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Connection, NodeNetworkInputs } from "../../hosts/src/contract";
import { nodeNetwork } from "../../hosts/src/node-network";
import { must } from "../../lab/exec";
import { off, on } from "../../lab/lab";
import { accessTo } from "../../lab/ssh";
import { newUpdate } from "../support/newUpdate";
import { expectInService } from "../support/service";
import { eventually, type TestLab } from "../support/testLab";

const node = "coreos4";
const tryoutSeconds = 15;
/** Its network alone: an address of a node is one that every node's Docker asks without the proxy, and is restarted for. */
const alone = ["--target", `**::${node}-network`];

/** A host that is no node: what is tried there takes nothing out of service. */
const outside = "client2";
const file = "/etc/systemd/network/20-lab.network";

const networkOf = (lab: TestLab): Promise<string> => lab.mustRoot(outside, `cat ${file}`);

/** A network for it, as a program gives it. */
function inputs(lab: TestLab, content: string, seconds: number): NodeNetworkInputs {
  const host = lab.host(outside);
  const access = accessTo(lab.instance, host);
  if (!access) throw new Error(`${host.name} has no access`);
  const { user, hostKey, identityFile } = access;
  const connection: Connection = {
    node: host.name,
    host: "127.0.0.1",
    port: host.sshPort,
    user,
    hostKey,
    identityFile,
  };
  return {
    connection,
    service: "systemd-networkd",
    files: { [file]: { content, mode: 0o644, apply: { action: "none" } } },
    tryoutSeconds: seconds,
  };
}

/** Tries an address by which nobody reaches it, and comes back once it has that one. @returns the error that the try ends with, later */
async function cutOff(lab: TestLab, seconds: number): Promise<{ update: Promise<string> }> {
  const former = await networkOf(lab);
  const cut = inputs(lab, former.replace(lab.host(outside).address, "10.0.9.9"), seconds);
  const update = nodeNetwork.update("", inputs(lab, former, seconds), cut).then(
    () => "",
    (error: Error) => error.message,
  );
  await eventually(20, async () => {
    expect(await lab.mustRoot(outside, "ip -br address show eth0")).toContain("10.0.9.9");
  });
  return { update };
}

async function expectNetwork(lab: TestLab, content: string): Promise<void> {
  const left = "ls -d /var/lib/moorage/network 2>&1; true";
  expect(await lab.mustRoot(outside, left)).toMatch(/No such file/);
  expect(await networkOf(lab)).toBe(content);
  expect(await lab.client(outside, "hostname")).toBe(`${outside}\n`);
}

function furtherInterface(lab: () => TestLab): void {
  describe("a further network card", () => {
    let before: string;

    beforeAll(async () => {
      before = lab().stackFile();
      // A second network card, until the node's next boot.
      const { netns } = lab().host(node);
      await must("ip", ["-n", netns, "link", "add", "eth1", "type", "veth", "peer", "name", "plug1"]);
      await must("ip", ["-n", netns, "link", "set", "plug1", "up"]);
    });

    afterAll(async () => {
      lab().changeConfig(before);
      await lab().mustUp(...alone);
      expect(await lab().mustRoot(node, "ip -br address show eth1; ls /etc/systemd/network")).not.toMatch(
        /10\.40|eth1\.n/,
      );
    });

    test("a further interface is set up on a node as it runs, and stays", async () => {
      lab().changeConfig((config) => {
        config.setIn(["config", "moorage:network", "tryoutSeconds"], tryoutSeconds);
        const nics = { eth1: { address: "10.40.0.14/24", mtu: 1400 } };
        config.setIn(["config", "moorage:nodes", node, "nics"], nics);
      });
      const preview = await lab().pulumi(["preview", "--diff"]);
      expect(preview.output).toMatch(
        /coreos4: this update changes its network, the node drained meanwhile: writes \/etc\/systemd\/network\/10-eth1\.network; goes back by itself unless SSH returns within 15 s/,
      );
      expect(preview.output).toContain("+ /etc/systemd/network/10-eth1.network");
      expect(await lab().mustUp(...alone)).toMatch(/coreos4: has its new network after \d+ s/);
      expect(await lab().mustRoot(node, "ip address show eth1")).toMatch(
        /mtu 1400[^]*inet 10\.40\.0\.14\/24/,
      );
      await expectInService(lab(), node);
      expect(await lab().plan(...alone)).toEqual([]);
    });
  });
}

function tries(lab: () => TestLab): void {
  describe("a network that is tried", () => {
    beforeEach(newUpdate);

    test("a network that SSH does not come back through is taken back by the host itself", async () => {
      const former = await networkOf(lab());
      const { update } = await cutOff(lab(), 10);
      expect(await update).toMatch(
        /client2: went back by itself to its former network: with the new one, SSH did not return at \S+ within 10 s/,
      );
      await expectNetwork(lab(), former);
    });

    test("power that is lost while a network is tried brings the former one back, too", async () => {
      const former = await networkOf(lab());
      const { update } = await cutOff(lab(), 600);
      await off(lab().instance, lab().host(outside));
      await on(lab().instance, lab().host(outside));
      expect(await update).toMatch(/client2: went back by itself to its former network/);
      await expectNetwork(lab(), former);
    });

    test("another gateway that leads back to whoever updates is tried by the host, and kept", async () => {
      const [{ netns }, gateway] = [lab().instance, "10.0.2.9"];
      const former = await networkOf(lab());
      const next = former.replace(/^Gateway=.*$/m, `Gateway=${gateway}`);
      expect(next).not.toBe(former);
      const boot = () => lab().mustRoot(outside, "cat /proc/sys/kernel/random/boot_id");
      const booted = await boot();
      await must("ip", ["-n", netns, "address", "add", `${gateway}/24`, "dev", "br0"]);
      try {
        await nodeNetwork.update("", inputs(lab(), former, 15), inputs(lab(), next, 15));
        expect(await lab().mustRoot(outside, "ip route show default")).toMatch(/^default via 10\.0\.2\.9 /);
        await expectNetwork(lab(), next);
        await nodeNetwork.update("", inputs(lab(), next, 15), inputs(lab(), former, 15));
        await expectNetwork(lab(), former);
        expect(await boot()).toBe(booted);
      } finally {
        await must("ip", ["-n", netns, "address", "delete", `${gateway}/24`, "dev", "br0"]);
      }
    });
  });
}

/** A network that is changed as its host runs, on whatever lab it is. */
export function network(lab: () => TestLab): void {
  furtherInterface(lab);
  tries(lab);
}
