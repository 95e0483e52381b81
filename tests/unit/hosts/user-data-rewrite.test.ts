import { describe, expect, it } from "vitest";
import { installation } from "../../../hosts/src/installation";
import { isInstalledAnew } from "../../../hosts/src/installed-anew";
import { CloudNode, formerlyStored, stored } from "./support/cloudNode";
import { canSandbox } from "./support/sandbox";
import { logged } from "./support/stop";

const unit = "/etc/systemd/system/date.service";

const before = `#cloud-config
# hash hash-1
users:
  - name: "usera"
coreos:
  units:
    - name: "date.service"
      content: "[Service]"
write_files:
  - path: "/etc/gone"
    content: "gone"
`;
const after = `#cloud-config
# hash hash-2
write_files:
  - path: "/etc/motd"
    content: "hello"
`;

/** A node that was installed with `before`. */
async function installedNode() {
  const node = await CloudNode.start(before);
  node.host.write("etc/gone", "gone");
  node.host.write(unit.slice(1), "[Service]");
  return { node, host: node.host, state: node.state, changed: node.with(after) };
}

describe.skipIf(!canSandbox)("another cloud-config for an installed node", () => {
  it("is validated there, replaces the old one, and is applied by a reboot", async () => {
    const { node, host, state, changed } = await installedNode();
    const outs = await installation.update("swarm-1", state, changed);
    expect(host.read("validated")).toBe(after);
    expect(host.read(stored)).toBe(after);
    expect(host.read("etc/gone")).toBeUndefined();
    expect(host.read(unit.slice(1))).toBeUndefined();
    expect(host.read("systemctl.log")).toMatch(/disable date\.service$/m);
    expect(node.boots).toBe(1);
    // All that lies on the disk is still there.
    expect(outs).toMatchObject({ installHash: "hash-2", firstBootId: "installed" });
    expect(logged.join("\n")).toContain("swarm-1: user usera is no longer configured, and stays there");
    expect(host.server.commands.join("\n")).not.toContain("hello");
    node.expectNothingLeft();
  }, 40_000);

  it("is written to where Container Linux has it, too", async () => {
    const node = await CloudNode.start(before, 30, formerlyStored);
    const outs = await installation.update("swarm-1", node.state, node.with(after));
    expect(node.host.read(formerlyStored)).toBe(after);
    expect(node.host.read(stored)).toBeUndefined();
    expect(outs).toMatchObject({ installHash: "hash-2" });
    node.expectNothingLeft();
  }, 40_000);

  it("that is not valid leaves everything as it is", async () => {
    const { node, host, state, changed } = await installedNode();
    host.write("faulty", "");
    await expect(installation.update("swarm-1", state, changed)).rejects.toThrow(
      /swarm-1: validating the user data failed .*\n.*unrecognized key[^]*The one that was there before is still in force/,
    );
    expect(host.read(stored)).toBe(before);
    expect(host.read("etc/gone")).toBe("gone");
    expect(host.told()).toEqual([]);
    expect(node.boots).toBe(0);
    node.expectNothingLeft();
  }, 40_000);

  it("that did not come as a whole leaves everything as it is", async () => {
    const { host, state, changed } = await installedNode();
    host.tool("cat", '#!/bin/sh\ncase "$*" in "") exec head -c 20 ;; esac\nexec /bin/cat "$@"\n');
    await expect(installation.update("swarm-1", state, changed)).rejects.toThrow(
      /swarm-1: validating the user data failed .*\nit did not come as a whole/,
    );
    expect(host.read(stored)).toBe(before);
    expect(host.read("validated")).toBeUndefined();
  }, 40_000);

  it("that cannot be put in place leaves everything as it is", async () => {
    const { node, host, state, changed } = await installedNode();
    host.tool(
      "mv",
      '#!/bin/sh\ncase "$1" in *.new) echo "no space" >&2; exit 1 ;; esac\nexec /bin/mv "$@"\n',
    );
    await expect(installation.update("swarm-1", state, changed)).rejects.toThrow(
      /swarm-1: handing over the new user data failed .*\nno space\nThe one that was there before is still in force/,
    );
    expect(host.read(stored)).toBe(before);
    expect(host.read("etc/gone")).toBe("gone");
    expect(host.read(unit.slice(1))).toBe("[Service]");
    expect(node.boots).toBe(0);
    node.expectNothingLeft();
  }, 40_000);

  it("that gives a guest another address is a reinstallation, which the guest's forward follows", async () => {
    const { state, changed } = await installedNode();
    const guest = (address: string) => ({
      ...{ hypervisor: {}, name: "swarm-1", id: "1" },
      again: {
        ...{ stack: "s", iso: "i", installerUserData: "u", systemDisk: 1 },
        forward: {
          network: "n",
          name: "f",
          to: { listen: "127.0.0.1", port: 2011, address, targetPort: 22 },
        },
      },
    });
    const said = (address: string, from: object = { guest: guest("10.0.2.11") }) => {
      installation.diff({ ...state, ...from }, { ...changed, guest: guest(address) });
      return logged.at(-1);
    };
    expect(said("10.0.2.11")).toMatch(/this update writes its user data anew/);
    expect(said("10.0.2.21")).toMatch(/this update reinstalls the node/);
    // Of an older stack, which recorded no forward.
    const older = {
      guest: { hypervisor: {}, name: "swarm-1", id: "1" },
      userData:
        "#cloud-config\ncoreos:\n  units:\n    - name: first.network\n      content: |\n        Address=10.0.2.11/24\n",
    };
    expect(said("10.0.2.11", older)).toMatch(/this update writes its user data anew/);
    for (const address of ["10.0.2.21", "10.0.2.1"])
      expect(said(address, older)).toMatch(/this update reinstalls the node/);
  });

  it("that moves a machine from the address that SSH goes to is a reinstallation, too", async () => {
    const { state, changed } = await installedNode();
    const first = "coreos:\n  units:\n    - name: first.network\n      content: |\n        [Network]\n";
    const at = (host: string, ...addresses: string[]) => ({
      target: { ...state.target, host },
      userData: `#cloud-config\n${first}${addresses.map((each) => `        Address=${each}/24\n`).join("")}`,
    });
    const said = (from: ReturnType<typeof at>, to: ReturnType<typeof at>) => {
      const { replaces } = installation.diff({ ...state, ...from }, { ...changed, ...to });
      expect(replaces).toEqual([]);
      expect(isInstalledAnew("swarm-1")).toBe(/reinstalls the node/.test(logged.at(-1) ?? ""));
      return logged.at(-1);
    };
    const [reboot, anew] = [/this update writes its user data anew/, /this update reinstalls the node/];
    for (const other of ["10.0.2.21", "10.0.2.1"])
      expect(said(at("10.0.2.11", "10.0.2.11"), at(other, other))).toMatch(anew);
    // By a way of its own, which does not change with the address.
    expect(said(at("127.0.0.1", "10.0.2.11"), at("127.0.0.1", "10.0.2.21"))).toMatch(reboot);
    expect(said(at("rack.domain.com", "10.0.2.11"), at("10.0.2.21", "10.0.2.21"))).toMatch(anew);
    // Another way to the node as it is.
    expect(said(at("rack.domain.com", "10.0.2.11"), at("10.0.2.11", "10.0.2.11"))).toMatch(reboot);
    const both = ["10.0.2.11", "10.30.0.11"];
    expect(said(at("10.0.2.11", ...both), at("10.30.0.11", ...both))).toMatch(reboot);
  });

  it("is announced as a reboot, with the way back and what stays behind", async () => {
    const { state, changed } = await installedNode();
    expect(installation.diff(state, changed)).toMatchObject({ changes: true, replaces: [] });
    expect(logged.join("\n")).toContain(
      "swarm-1: this update writes its user data anew and reboots the node, drained meanwhile; goes back by itself unless " +
        "SSH returns within 30 s of its boot; left behind: user usera; " +
        "other: /etc/gone, /etc/motd, date.service, user usera",
    );
  });

  it("names the groups that it does not give to a user who is there", async () => {
    const { state, changed } = await installedNode();
    const userData = `${after}users:\n  - name: "usera"\n    groups: ["docker"]\n`;
    installation.diff(state, { ...changed, userData });
    expect(logged.join("\n")).toContain("of its boot; stay as they are: groups of user usera; other: ");
  });

  it("means nothing where only the time to try it is another", async () => {
    const { state } = await installedNode();
    expect(installation.diff(state, { ...state, tryoutSeconds: 90 }).changes).toBe(false);
  });
});
