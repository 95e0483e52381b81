import { describe, expect, it } from "vitest";
import type { InstallationInputs } from "../../../hosts/src/contract";
import { installation } from "../../../hosts/src/installation";
import { Sandbox, canSandbox } from "./support/sandbox";
import { logged } from "./support/stop";

const stored = "var/lib/flatcar-install/user_data";
const unit = "/etc/systemd/system/date.service";

const before = `#cloud-config
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
write_files:
  - path: "/etc/motd"
    content: "hello"
`;

const cat = (bootId: string): string =>
  `#!/bin/sh\ncase "$*" in */boot_id) echo ${bootId} ;; *) exec /bin/cat "$@" ;; esac\n`;

/** Notes the text it was asked to validate, and finds fault where it is told to. */
const cloudinit = `#!/bin/sh
cp "\${2#--from-file=}" "$FAKE/validated"
if [ -e "$FAKE/faulty" ]; then echo "line 2: error: unrecognized key"; exit 1; fi
`;

/** A node that was installed with `before`. */
async function installedNode() {
  const host = await Sandbox.start({ cat: cat("first"), "coreos-cloudinit": cloudinit });
  host.tool("systemctl", `#!/bin/sh\necho "$*" >> "$FAKE/systemctl.log"\n`);
  host.write("etc/moorage/install.json", JSON.stringify({ installHash: "hash-1" }));
  host.write("etc/gone", "gone");
  host.write(unit.slice(1), "[Service]");
  host.write(stored, before);
  const target = host.server.connection();
  const inputs: InstallationInputs = {
    node: "swarm-1",
    installer: target,
    target,
    userData: before,
    format: "cloud-config",
    installHash: "hash-1",
    disk: "/dev/sda",
    timeoutSeconds: 40,
  };
  const state = { ...inputs, firstBootId: "installed" };
  return { host, state, changed: { ...inputs, userData: after, installHash: "hash-2" } };
}

/** The reboot, once it was asked for; `hash` is what the node then says of itself. */
async function reboots(host: Sandbox, hash: string): Promise<void> {
  while (!(host.read("systemctl.log") ?? "").includes("reboot"))
    await new Promise((done) => setTimeout(done, 50));
  host.write("etc/moorage/install.json", JSON.stringify({ installHash: hash }));
  host.tool("cat", cat("second"));
}

describe.skipIf(!canSandbox)("another cloud-config for an installed node", () => {
  it("is validated there, replaces the old one, and is applied by a reboot", async () => {
    const { host, state, changed } = await installedNode();
    const update = installation.update("swarm-1", state, changed);
    const [outs] = await Promise.all([update, reboots(host, "hash-2")]);
    expect(host.read("validated")).toBe(after);
    expect(host.read(stored)).toBe(after);
    expect(host.read("etc/gone")).toBeUndefined();
    expect(host.read(unit.slice(1))).toBeUndefined();
    expect(host.read("systemctl.log")).toMatch(/^disable date\.service$/m);
    // All that lies on the disk is still there.
    expect(outs).toMatchObject({ installHash: "hash-2", firstBootId: "installed" });
    expect(logged.join("\n")).toContain("swarm-1: user usera is no longer configured, and stays there");
    expect(host.server.commands.join("\n")).not.toContain("hello");
  }, 40_000);

  it("that is not valid leaves everything as it is", async () => {
    const { host, state, changed } = await installedNode();
    host.write("faulty", "");
    await expect(installation.update("swarm-1", state, changed)).rejects.toThrow(
      /swarm-1: validating the user data failed .*\n.*unrecognized key[^]*The one that was there before is still in force/,
    );
    expect(host.read(stored)).toBe(before);
    expect(host.read(`${stored}.new`)).toBeUndefined();
    expect(host.read("etc/gone")).toBe("gone");
    expect(host.read("systemctl.log")).toBeUndefined();
  }, 40_000);

  it("that did not come as a whole leaves everything as it is", async () => {
    const { host, state, changed } = await installedNode();
    host.tool("cat", cat("first").replace("*) exec", '"") head -c 20 ;; *) exec'));
    await expect(installation.update("swarm-1", state, changed)).rejects.toThrow(
      /swarm-1: validating the user data failed .*\nit did not come as a whole/,
    );
    expect(host.read(stored)).toBe(before);
    expect(host.read("validated")).toBeUndefined();
  }, 40_000);

  it("that the reboot did not apply is an error, and is written again by the next update", async () => {
    const { host, state, changed } = await installedNode();
    const refused = expect(installation.update("swarm-1", state, changed)).rejects.toThrow(
      /swarm-1: rebooted, but its new user data was not applied/,
    );
    await Promise.all([refused, reboots(host, "hash-1")]);
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

  it("is announced as a reboot, with what stays behind", async () => {
    const { state, changed } = await installedNode();
    expect(installation.diff(state, changed)).toMatchObject({ changes: true, replaces: [] });
    expect(logged.join("\n")).toContain(
      "swarm-1: this update writes its user data anew and reboots the node, drained meanwhile; left behind: user usera; " +
        "other: /etc/gone, /etc/motd, date.service, user usera",
    );
  });
});
