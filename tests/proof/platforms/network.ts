import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Connection, NodeNetworkInputs } from "../../../hosts/src/contract";
import { nodeNetwork } from "../../../hosts/src/node-network";
import { must } from "../../../lab/exec";
import { off, on } from "../../../lab/lab";
import { accessTo } from "../../../lab/ssh";
import { newUpdate } from "../../support/newUpdate";
import { expectInService } from "../../support/service";
import type { TestLab } from "../../support/testLab";
import { until } from "../../support/waiting";

const node = "coreos4";
const tryoutSeconds = 15;
/** Of its network alone: another address of a node restarts Docker on every node, for the proxy settings. */
const alone = ["--target", `**::${node}-network`];

/** Not a node: nothing is drained for it. */
const outside = "client2";
const file = "/etc/systemd/network/20-lab.network";

const networkOf = (lab: TestLab): Promise<string> => lab.mustRoot(outside, `cat ${file}`);

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

/** Starts an update to an unreachable address, and waits until the host has it. @returns the update's error */
async function cutOff(lab: TestLab, seconds: number): Promise<{ update: Promise<string> }> {
  const former = await networkOf(lab);
  const cut = inputs(lab, former.replace(lab.host(outside).address, "10.0.9.9"), seconds);
  const update = nodeNetwork.update("", inputs(lab, former, seconds), cut).then(
    () => "",
    (error: Error) => error.message,
  );
  const hasIt = async (): Promise<void> =>
    expect(await lab.mustRoot(outside, "ip -br address show eth0")).toContain("10.0.9.9");
  await until("the host has the unreachable address", hasIt, { everyMs: 50 });
  return { update };
}

async function expectNetwork(lab: TestLab, content: string): Promise<void> {
  const left = "ls -d /var/lib/moorage/network 2>&1; true";
  expect(await lab.mustRoot(outside, left)).toMatch(/No such file/);
  expect(await networkOf(lab)).toBe(content);
  expect(await lab.client(outside, "hostname")).toBe(`${outside}\n`);
}

function furtherInterface(lab: () => TestLab): void {
  describe("another network card of a node", () => {
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

    test("is configured without a reboot, and stays", async () => {
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
  describe("another network", () => {
    beforeEach(newUpdate);

    test("is rolled back by the host if SSH does not return", async () => {
      const former = await networkOf(lab());
      const { update } = await cutOff(lab(), 10);
      expect(await update).toMatch(
        /client2: went back by itself to its former network: with the new one, SSH did not return at \S+ within 10 s/,
      );
      await expectNetwork(lab(), former);
    });

    test("is rolled back after a power loss", async () => {
      const former = await networkOf(lab());
      const { update } = await cutOff(lab(), 600);
      await off(lab().instance, lab().host(outside));
      await on(lab().instance, lab().host(outside));
      expect(await update).toMatch(/client2: went back by itself to its former network/);
      await expectNetwork(lab(), former);
    });

    test("is kept if SSH returns: another gateway", async () => {
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

/** Changes of a running host's network. */
export function network(lab: () => TestLab): void {
  furtherInterface(lab);
  tries(lab);
}
