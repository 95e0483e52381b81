import { beforeEach, describe, expect, it } from "vitest";
import { installation } from "../../../hosts/src/installation";
import { filesIn, leavingIn } from "../../../hosts/src/installation/changed";
import { tryScript } from "../../../hosts/src/installation/trial-scripts";
import { row } from "../../../hosts/src/swarm/turn";
import { newUpdate } from "../../support/newUpdate";
import { pause, until } from "../../support/waiting";
import { CloudNode, formerlyStored, stored } from "./support/cloudNode";
import { canSandbox } from "./support/sandbox";
import { hurry, logged } from "./support/stop";

/** A cloud-config; what stands in for coreos-cloudinit applies its hash, and cuts the network off for `cut`. */
const text = (hash: string, more = "works") => `#cloud-config
# hash ${hash}
write_files:
  - path: "/etc/${hash}"
    content: "written"
coreos:
  units:
    - name: "10-moorage.network"
      content: "${more}"
    - name: "${hash}.service"
      content: "[Service]"
`;
const former = text("hash-1");
const wanted = text("hash-2");
const cut = text("hash-3", "cut");

/** Longer than any test takes; a second on the node takes a tenth of one here. */
const LONG = 6000;

function applied({ host }: CloudNode, hash: string): void {
  host.write(`etc/${hash}`, "written");
  host.write(`etc/systemd/system/${hash}.service`, "[Service]");
}

async function installedNode(tryoutSeconds = LONG, place = stored): Promise<CloudNode> {
  const node = await CloudNode.start(former, tryoutSeconds, place);
  applied(node, "hash-1");
  return node;
}

function expectFormer(node: CloudNode): void {
  const { host } = node;
  expect(host.read(stored)).toBe(former);
  expect(host.read("etc/moorage/install.json")).toContain("hash-1");
  expect(host.read("etc/hash-1")).toBe("written");
  expect(host.read("etc/systemd/system/hash-1.service")).toBe("[Service]");
  for (const hash of ["hash-2", "hash-3"]) expect(host.read(`etc/${hash}`)).toBeUndefined();
  node.expectNothingLeft();
}

beforeEach(() => {
  newUpdate();
  // Looks at the node follow each other faster than in earnest.
  hurry(() => pause(50), 0);
});

describe.skipIf(!canSandbox)("another cloud-config for an installed node", () => {
  it("is validated there, replaces the old one, and is applied by a reboot", async () => {
    const node = await installedNode(LONG, formerlyStored);
    const { host } = node;
    const outs = await installation.update("swarm-1", node.state, node.with(wanted));
    expect(host.read("validated")).toBe(wanted);
    expect([host.read(formerlyStored), host.read(stored)]).toEqual([wanted, undefined]);
    expect(host.read("etc/hash-1")).toBeUndefined();
    expect(host.read("etc/systemd/system/hash-1.service")).toBeUndefined();
    expect(host.read("systemctl.log")).toMatch(/disable hash-1\.service$/m);
    expect(node.boots).toBe(1);
    // The data on the disk is still there.
    expect(outs).toMatchObject({ installHash: "hash-2", firstBootId: "installed" });
    expect(host.server.commands.join("\n")).not.toContain("written");
    node.expectNothingLeft();
  });

  it.each<[string, (node: CloudNode) => void, RegExp]>([
    [
      "is not valid",
      ({ host }) => host.write("faulty", ""),
      /swarm-1: validating the user data failed .*\n.*unrecognized key[^]*The one that was there before is still in force/,
    ],
    [
      "did not come whole",
      ({ host }) =>
        host.tool("cat", '#!/bin/sh\ncase "$*" in "") exec head -c 20 ;; esac\nexec /bin/cat "$@"\n'),
      /swarm-1: validating the user data failed .*\nit did not come as a whole/,
    ],
    [
      "cannot be put in place",
      ({ host }) =>
        host.tool(
          "mv",
          '#!/bin/sh\ncase "$1" in *.new) echo "no space" >&2; exit 1 ;; esac\nexec /bin/mv "$@"\n',
        ),
      /swarm-1: handing over the new user data failed .*\nno space\nThe one that was there before is still in force/,
    ],
  ])("that %s leaves everything as it is", async (_what, prepare, failure) => {
    const node = await installedNode();
    prepare(node);
    await expect(installation.update("swarm-1", node.state, node.with(wanted))).rejects.toThrow(failure);
    expect(node.boots).toBe(0);
    expectFormer(node);
  });

  it("is rolled back by the node if SSH does not return; the next update goes on", async () => {
    const node = await installedNode(5);
    const update = expect(installation.update("swarm-1", node.state, node.with(cut))).rejects.toThrow(
      new RegExp(
        "^swarm-1: went back by itself to its former user data: with the new one, SSH did not return at " +
          "core@127\\.0\\.0\\.1:\\d+ within 5 s of its boot \\(no SSH connection .*\\)\\. " +
          "Tried: /etc/hash-1, /etc/hash-3, 10-moorage\\.network, hash-1\\.service, hash-3\\.service\\. " +
          "Correct nodes\\.swarm-1, network or os in the configuration, and run again\\.$",
      ),
    );
    await update;
    expect(node.boots).toBe(2);
    expectFormer(node);
    expect(row).toEqual({ stoppedBy: "swarm-1", reason: "went back to its former user data" });
    newUpdate();
    const next = { ...node.with(wanted), tryoutSeconds: LONG };
    expect((await installation.update("swarm-1", node.state, next)).installHash).toBe("hash-2");
    expect(node.host.read(stored)).toBe(wanted);
    node.expectNothingLeft();
  });

  it("is rolled back at the next boot if the power was lost during its trial", async () => {
    const node = await installedNode();
    const update = expect(installation.update("swarm-1", node.state, node.with(cut))).rejects.toThrow(
      /went back by itself/,
    );
    await until("its trial", () => expect(node.onTrial("applied")).toBe(true));
    applied(node, "hash-3");
    await node.onConsole('setsid sh "$FAKE/boot" >/dev/null 2>&1 &');
    await update;
    expect(node.boots).toBe(2);
    expectFormer(node);
  });

  it.each([
    [
      "is kept if it is still wanted",
      wanted,
      1,
      "is on trial with its new user data since an earlier update",
    ],
    [
      "is rolled back if another one is wanted",
      text("hash-4"),
      3,
      "takes back new user data that an earlier",
    ],
  ])("that a killed update left on trial %s", async (_what, next, boots, said) => {
    const node = await installedNode();
    const script = tryScript({
      ...{ userData: wanted, installHash: "hash-2", files: filesIn(former, wanted), tryoutSeconds: LONG },
      leaving: leavingIn(former, wanted),
      newUnits: leavingIn(wanted, former).units,
    });
    await node.onConsole(script);
    await until("its trial", () => expect(node.onTrial("applied")).toBe(true));
    // A refresh does not take it for what is installed.
    expect(await installation.read("swarm-1", node.state)).toEqual({ id: "swarm-1", outs: node.state });
    await installation.update("swarm-1", node.state, node.with(next));
    expect(logged.join("\n")).toContain(said);
    expect(node.boots).toBe(boots);
    expect(node.host.read(stored)).toBe(next);
    node.expectNothingLeft();
  });
});
