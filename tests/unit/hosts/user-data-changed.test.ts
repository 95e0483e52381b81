import { describe, expect, it } from "vitest";
import { changedIn, leavingIn } from "../../../hosts/src/installation/changed";

const cloudConfig = `#cloud-config
hostname: "a"
users:
  - name: "usera"
    passwd: "one"
  - name: "userb"
coreos:
  update:
    reboot-strategy: "off"
  units:
    - name: "10-eno2.network"
      content: "[Match]"
    - name: "20-lost.network"
      runtime: true
      content: "[Match]"
    - name: "date.service"
      content: "[Service]"
    - name: "docker.service"
      drop-ins:
        - name: "50-proxy.conf"
          content: "[Service]"
write_files:
  - path: "/etc/motd"
    content: "hello"
`;

const ignition = (...paths: string[]): string =>
  JSON.stringify({
    ignition: { version: "3.3.0" },
    storage: { files: paths.map((path) => ({ path })) },
    passwd: { users: [{ name: "core", passwordHash: "secret" }] },
  });

describe("what changed between two texts of user data", () => {
  it("is said by name, in a cloud-config", () => {
    const other = cloudConfig
      .replace("hello", "bye")
      .replace('hostname: "a"', 'hostname: "b"')
      .replace('reboot-strategy: "off"', 'reboot-strategy: "reboot"');
    expect(changedIn(cloudConfig, other)).toEqual(["/etc/motd", "hostname", "update"]);
    expect(changedIn(cloudConfig, cloudConfig.replace("one", "two"))).toEqual([]);
  });

  it("is said by name, in Ignition", () => {
    expect(changedIn(ignition("/a", "/b"), ignition("/b", "/c"))).toEqual(["/a", "/c"]);
    expect(changedIn(ignition("/a"), ignition("/a").replace("secret", "other"))).toEqual([]);
  });

  it("is nothing where a text is neither", () => {
    expect(changedIn("", "nonsense")).toEqual([]);
  });
});

describe("what leaves with a text of user data", () => {
  it("is every file, unit and drop-in that the next one does not name, but for what the reboot takes away", () => {
    expect(leavingIn(cloudConfig, '#cloud-config\nhostname: "a"\n')).toEqual({
      files: [
        "/etc/motd",
        "/etc/systemd/network/10-eno2.network",
        "/etc/systemd/system/date.service",
        "/etc/systemd/system/docker.service.d/50-proxy.conf",
      ],
      units: ["date.service"],
      stays: ["user usera", "user userb"],
      unheeded: [],
    });
  });

  it("is a drop-in whose unit stays", () => {
    const without = cloudConfig.replace(/ +drop-ins:\n.*\n.*\n/, "");
    expect(leavingIn(cloudConfig, without)).toEqual({
      files: ["/etc/systemd/system/docker.service.d/50-proxy.conf"],
      units: [],
      stays: [],
      unheeded: [],
    });
  });

  it("is nothing where both say the same", () => {
    expect(leavingIn(cloudConfig, cloudConfig)).toEqual({
      files: [],
      units: [],
      stays: [],
      unheeded: [],
    });
  });

  it("is no other group for a user who is there: coreos-cloudinit passes over it", () => {
    const withGroups = (...groups: string[]): string =>
      cloudConfig.replace('"one"\n', `"one"\n    groups: ${JSON.stringify(groups)}\n`);
    const unheeded = (before: string, after: string): readonly string[] => leavingIn(before, after).unheeded;
    expect(unheeded(withGroups("sudo"), withGroups("sudo", "docker"))).toEqual(["groups of user usera"]);
    expect(unheeded(cloudConfig, withGroups("sudo"))).toEqual(["groups of user usera"]);
    expect(unheeded(withGroups("sudo", "docker"), withGroups("docker", "sudo"))).toEqual([]);
    expect(unheeded("#cloud-config\nhostname: a\n", withGroups("sudo"))).toEqual([]);
  });
});
