import { expect, it } from "vitest";
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

const other = cloudConfig
  .replace("hello", "bye")
  .replace('hostname: "a"', 'hostname: "b"')
  .replace('reboot-strategy: "off"', 'reboot-strategy: "reboot"');

it.each<[string, string, string, string[]]>([
  ["a cloud-config", cloudConfig, other, ["/etc/motd", "hostname", "update"]],
  ["a cloud-config's secret", cloudConfig, cloudConfig.replace("one", "two"), []],
  ["Ignition", ignition("/a", "/b"), ignition("/b", "/c"), ["/a", "/c"]],
  ["Ignition's secret", ignition("/a"), ignition("/a").replace("secret", "other"), []],
  ["neither", "", "nonsense", []],
])("changes are reported by name: of %s", (_what, before, after, names) => {
  expect(changedIn(before, after)).toEqual(names);
});

const groups = (...names: string[]): string =>
  cloudConfig.replace('"one"\n', `"one"\n    groups: ${JSON.stringify(names)}\n`);
const dropIn = "/etc/systemd/system/docker.service.d/50-proxy.conf";
const service = "/etc/systemd/system/date.service";

it.each<[string, string, string, object]>([
  [
    "files, units, drop-ins and users",
    cloudConfig,
    '#cloud-config\nhostname: "a"\n',
    {
      files: ["/etc/motd", "/etc/systemd/network/10-eno2.network", service, dropIn],
      units: ["date.service"],
      stays: ["user usera", "user userb"],
    },
  ],
  ["a drop-in", cloudConfig, cloudConfig.replace(/ +drop-ins:\n.*\n.*\n/, ""), { files: [dropIn] }],
  ["nothing", cloudConfig, cloudConfig, {}],
  // coreos-cloudinit passes over groups of a user who is there.
  ["no group", groups("sudo"), groups("sudo", "docker"), { unheeded: ["groups of user usera"] }],
  ["no first group", cloudConfig, groups("sudo"), { unheeded: ["groups of user usera"] }],
  ["no order of groups", groups("sudo", "docker"), groups("docker", "sudo"), {}],
  ["no group of a new user", "#cloud-config\nhostname: a\n", groups("sudo"), {}],
])("what leaves with a cloud-config: %s", (_what, before, after, leaving) => {
  expect(leavingIn(before, after)).toEqual({ files: [], units: [], stays: [], unheeded: [], ...leaving });
});
