import { beforeEach, describe, expect, it, vi } from "vitest";
import { installation } from "../../../hosts/src/installation";
import { filesIn, leavingIn } from "../../../hosts/src/installation/changed";
import { tryScript } from "../../../hosts/src/installation/trial-scripts";
import { row } from "../../../hosts/src/swarm/turn";
import { newUpdate } from "../../support/newUpdate";
import { CloudNode, stored } from "./support/cloudNode";
import { canSandbox } from "./support/sandbox";
import { logged } from "./support/stop";

const units = "etc/systemd/system";
const network = "/etc/systemd/network/10-moorage.network";

const text = (hash: string, more: string) => `#cloud-config
# hash ${hash}
write_files:
  - path: "/etc/${hash}"
    content: "written"
  - path: "/etc/moorage/install.json"
    content: "${hash}"
coreos:
  units:
    - name: "10-moorage.network"
      content: "${more}"
    - name: "${hash}.service"
      content: "[Service]"
`;
const former = text("hash-1", "works");
const works = text("hash-2", "works");
const cut = text("hash-3", "cut");

/** The tried texts' files are there as coreos-cloudinit would have put them, which here applies nothing else. */
function applied(node: CloudNode, hash: string): void {
  node.host.write(`etc/${hash}`, "written");
  node.host.write(`${units}/${hash}.service`, "[Service]");
  node.host.write(network.slice(1), hash);
}

async function installedNode(tryoutSeconds?: number): Promise<CloudNode> {
  const node = await CloudNode.start(former, tryoutSeconds);
  applied(node, "hash-1");
  return node;
}

/** What an update does that is killed once it has handed over the text. */
async function begin(node: CloudNode, userData: string, tryoutSeconds = 600): Promise<void> {
  const { installHash } = node.with(userData);
  const script = tryScript({
    userData,
    installHash,
    files: filesIn(former, userData),
    leaving: leavingIn(former, userData),
    newUnits: leavingIn(userData, former).units,
    tryoutSeconds,
  });
  await node.onConsole(script);
}

const until = (what: () => boolean) => expect.poll(what, { timeout: 10_000 }).toBe(true);

function expectFormer({ host }: CloudNode): void {
  expect(host.read(stored)).toBe(former);
  expect(host.read("etc/moorage/install.json")).toContain("hash-1");
  expect(host.read("etc/hash-1")).toBe("written");
  expect(host.read(`${units}/hash-1.service`)).toBe("[Service]");
  expect(host.read(network.slice(1))).toBe("hash-1");
  for (const hash of ["hash-2", "hash-3"]) {
    expect(host.read(`etc/${hash}`)).toBeUndefined();
    expect(host.read(`${units}/${hash}.service`)).toBeUndefined();
  }
}

describe.skipIf(!canSandbox)("another cloud-config on trial", () => {
  beforeEach(newUpdate);

  it("is taken back by the node where SSH does not return; the update says so, and the next one goes on", async () => {
    const node = await installedNode();
    const update = expect(installation.update("swarm-1", node.state, node.with(cut))).rejects.toThrow(
      new RegExp(
        "^swarm-1: went back by itself to its former user data: with the new one, SSH did not return at " +
          "core@127\\.0\\.0\\.1:\\d+ within 30 s of its boot \\(no SSH connection .*\\)\\. " +
          "Tried: /etc/hash-1, /etc/hash-3, 10-moorage\\.network, hash-1\\.service, hash-3\\.service\\. " +
          "Correct nodes\\.swarm-1, network or os in the configuration, and run again\\.$",
      ),
    );
    await until(() => node.onTrial("applied"));
    applied(node, "hash-3");
    await update;
    expect(node.boots).toBe(2);
    expectFormer(node);
    expect(node.host.read("systemctl.log")).toMatch(/disable hash-3\.service$/m);
    expect(row).toEqual({ stoppedBy: "swarm-1", reason: "went back to its former user data" });
    node.expectNothingLeft();

    newUpdate();
    const outs = await installation.update("swarm-1", node.state, node.with(works));
    expect(outs).toMatchObject({ installHash: "hash-2", firstBootId: "installed" });
    expect(node.host.read(stored)).toBe(works);
    node.expectNothingLeft();
  }, 60_000);

  it("that the reboot did not apply is taken back at once, though SSH returned", async () => {
    const node = await installedNode(600);
    const unapplied = text("hash-2", "unapplied");
    await expect(installation.update("swarm-1", node.state, node.with(unapplied))).rejects.toThrow(
      /^swarm-1: went back by itself to its former user data: the new one was not applied; see there `journalctl -b -1 -t coreos-cloudinit`\. Tried: /,
    );
    expectFormer(node);
    node.expectNothingLeft();
  }, 60_000);

  it("is taken back at the next boot where the power was lost meanwhile", async () => {
    const node = await installedNode(6000);
    const update = expect(installation.update("swarm-1", node.state, node.with(cut))).rejects.toThrow(
      /went back by itself/,
    );
    await until(() => node.onTrial("applied"));
    applied(node, "hash-3");
    await node.losesPower();
    await update;
    expect(node.boots).toBe(2);
    expectFormer(node);
    node.expectNothingLeft();
  }, 60_000);

  it("is taken back by the node where the update was killed, without anybody", async () => {
    const node = await installedNode();
    await begin(node, works, 20);
    await until(() => node.onTrial("applied"));
    applied(node, "hash-2");
    await until(() => node.boots === 2);
    const back = () => {
      node.expectNothingLeft();
      expectFormer(node);
    };
    await vi.waitFor(back, { timeout: 10_000 });
  }, 60_000);

  it("that an update which was killed has left so is kept by the next one, where it is still wanted", async () => {
    const node = await installedNode();
    await begin(node, works);
    await until(() => node.onTrial("trying"));
    const outs = await installation.update("swarm-1", node.state, node.with(works));
    expect(outs.installHash).toBe("hash-2");
    expect(logged.join("\n")).toContain("is on trial with its new user data since an earlier update");
    expect(node.boots).toBe(1);
    expect(node.host.read(stored)).toBe(works);
    node.expectNothingLeft();
  }, 60_000);

  it("is taken back by the next update where another one is wanted, which is tried then", async () => {
    const node = await installedNode();
    await begin(node, works);
    await until(() => node.onTrial("applied"));
    const other = text("hash-4", "works");
    expect((await installation.update("swarm-1", node.state, node.with(other))).installHash).toBe("hash-4");
    expect(logged.join("\n")).toContain("takes back new user data that an earlier update has left there");
    // The first trial, the way back, the second trial.
    expect(node.boots).toBe(3);
    expect(node.host.read(stored)).toBe(other);
    node.expectNothingLeft();
  }, 60_000);

  it("is taken back without a reboot where the update was cut off before its own", async () => {
    const node = await installedNode();
    node.host.write("hangs", "");
    await begin(node, works);
    expect(node.host.read(stored)).toBe(works);
    expect(node.host.read("etc/hash-1")).toBeUndefined();
    expect(node.onTrial("armed")).toBe(true);
    // Its owner goes by the former one again: nothing is left to do.
    const { installHash } = node.state;
    const wanted = { ...node.state, installHash: "hash-2" };
    expect((await installation.update("swarm-1", wanted, node.with(former))).installHash).toBe(installHash);
    expect(node.boots).toBe(0);
    expectFormer(node);
    node.expectNothingLeft();
  }, 60_000);

  it("is not what a refresh finds on the node", async () => {
    const node = await installedNode();
    await begin(node, works);
    await until(() => node.onTrial("applied"));
    expect(node.host.read("etc/moorage/install.json")).toContain("hash-2");
    expect(await installation.read("swarm-1", node.state)).toEqual({ id: "swarm-1", outs: node.state });
    expect(node.onTrial("trying")).toBe(true);
  }, 60_000);
});
