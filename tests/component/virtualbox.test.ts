import { beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { reachedThrough } from "../../components/machine/virtualBoxNetwork";
import { parseStackConfig } from "../../config/stack";
import { plain, secretPaths, shown, type Recorder } from "../support/mocks";
import { rawStack, type RawConfig } from "../support/stacks";
import { differences, identities, machinesOf, type Change } from "./parts";

/** The article's stack after a change. */
function raw(change: Change = () => undefined): RawConfig {
  const own = structuredClone(rawStack("virtualbox"));
  change(own);
  return own;
}
const guests = (change?: Change): Promise<Recorder> => machinesOf(parseStackConfig(raw(change)));
const withHypervisor =
  (settings: object): Change =>
  (own) =>
    void (own.hypervisor = { ...own.hypervisor, ...settings });

const remote = {
  host: "workstation.domain.com",
  user: "you",
  hostKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEugY/LZ66voPYivFWHdYXgfuTsEBOV9MTdB1A/FlUpO",
};
const stack = "organization/moorage/dev";
const nodes = ["coreos1", "coreos2", "coreos3", "coreos4"];

let recorder: Recorder;
beforeAll(async () => void (recorder = await guests()));

describe("the hypervisor", () => {
  test("has a NAT network and the installer's image", () => {
    expect(recorder.children("fleet")).toContain("VirtualBoxNetwork virtualbox");
    expect(recorder.ofType(":VirtualBoxNetwork")[0]?.type).toBe("moorage:machine:VirtualBoxNetwork");
    expect(recorder.children("virtualbox")).toEqual([
      "IsoImage virtualbox-iso",
      "NatNetwork virtualbox-network",
    ]);
    expect(recorder.outputs.get("virtualbox")).toEqual({ name: "moorage", iso: "/vms/virtualbox-iso.iso" });
  });

  test("has one forward to each node, and one to the registry", () => {
    const { systems, ...inputs } = recorder.named("virtualbox-network").inputs;
    const ssh = nodes.map((node, at): [string, object] => [
      `ssh-${node}`,
      { listen: "127.0.0.1", port: 2011 + at, address: `10.0.2.${11 + at}`, targetPort: 22 },
    ]);
    const registry = { listen: "127.0.0.1", port: 8443, address: "10.0.2.10", targetPort: 443 };
    expect(inputs).toEqual({
      ...{ hypervisor: {}, name: "moorage", stack, subnet: "10.0.2.0/24", dhcp: false },
      forwards: { ...Object.fromEntries(ssh), registry },
    });
    expect(Object.keys(systems as object).sort()).toEqual(nodes.map((node) => `ssh-${node}`));
  });

  test("fetches the live image of the nodes' channel, by the proxy but for what is inside", async () => {
    const proxies = { http: "http://plain:3128", https: "http://tls:3128", exclude: [".lab"] };
    const { inputs } = (await guests((own) => (own.os = { ...own.os, proxies }))).named("virtualbox-iso");
    expect(inputs).toMatchObject({
      url: "https://{channel}.release.flatcar-linux.net/amd64-usr/{version}/flatcar_production_iso_image.iso",
      channel: "alpha",
      proxies: { http: "http://plain:3128", https: "http://tls:3128" },
    });
    const { none } = inputs.proxies as { none: string[] };
    expect(none).toEqual(expect.arrayContaining([".lab", "10.0.2.11"]));
  });

  test("is reached over SSH if it is another machine, and listens for this one there", async () => {
    const other = await guests(withHypervisor({ ssh: remote }));
    expect(shown(other.named("virtualbox-network").inputs)).toMatchObject({
      hypervisor: { connection: { node: "hypervisor", port: 22, ...remote } },
      forwards: { registry: { listen: "0.0.0.0" } },
    });
    const { connection } = other.named("coreos1-base").inputs;
    expect(connection).toMatchObject({ host: remote.host, port: 2011 });
  });

  describe("gives the registry's certificate the names of its forward", () => {
    const local = ["127.0.0.1", "localhost"];
    const network = { listen: "0.0.0.0" };

    test.each<[string, object, string | undefined, string[]]>([
      ["of this machine", {}, undefined, local],
      ["of another", { ssh: remote }, undefined, [remote.host, "localhost", "127.0.0.1"]],
      [
        "a configured one",
        { network, hostname: "desk.domain.com" },
        undefined,
        ["desk.domain.com", ...local],
      ],
      [
        "of another as configured",
        { ssh: { ...remote, host: "Work_Station" } },
        "other",
        ["Work_Station", "localhost", "127.0.0.1"],
      ],
      [
        "of this machine in lower case, once others may use it",
        { network },
        "Workstation",
        ["workstation", ...local],
      ],
      ["unless it is no DNS name", { network }, "no_name", local],
      ["unless it listens on loopback", { network: { listen: "127.0.0.2" } }, "Workstation", local],
      ["unless a tunnel leads to another", { ssh: { ...remote, host: "127.0.0.1" }, network }, "Desk", local],
    ])("%s", (_which, settings, name, expected) => {
      const config = parseStackConfig(raw(withHypervisor(settings)));
      expect(reachedThrough(config, name).alternativeNames).toEqual(expected);
    });
  });
});

describe("a guest", () => {
  const preflightOf = (from: Recorder) =>
    shown(from.named("fleet-preflight").inputs) as {
      hosts: Record<string, { guest?: object; installer: object; target: object }>;
    };

  test("is created before any host is checked, which is before it is installed", () => {
    expect(recorder.children("coreos3")).toContain("Guest coreos3-guest");
    const { dependencies } = recorder.named("coreos3-guest");
    expect(dependencies).toEqual(expect.arrayContaining(["virtualbox-iso", "virtualbox-network"]));
    expect(recorder.named("fleet-preflight").dependencies).toEqual(
      expect.arrayContaining(nodes.map((node) => `${node}-guest`)),
    );
    expect(recorder.named("coreos3-installation").dependencies).toContain("fleet-preflight");
  });

  test("is what the hypervisor's settings say, or those of its node", async () => {
    expect(plain(recorder.named("coreos1-guest").inputs)).toMatchObject({
      ...{ name: "coreos1", stack, network: "moorage", iso: "/vms/virtualbox-iso.iso", keepDataDisk: true },
      withPowerCycle: {
        ...{ memory: 2048, cpus: 2, nicType: "virtio", usb: false, audio: false, boot: "disk,dvd" },
        ...{ systemDisk: 16 * 1024, dataDisk: 64 * 1024 },
      },
    });
    const own = { memory: 8192, cpus: 4, dataDisk: 100, mac: "08:00:27:00:00:1a" };
    const other = await guests((all) => Object.assign(all.nodes?.coreos1 as object, { guest: own }));
    expect(plain(other.named("coreos1-guest").inputs.withPowerCycle)).toMatchObject({
      ...{ memory: 8192, cpus: 4, mac: "08002700001A" },
      ...{ systemDisk: 16 * 1024, dataDisk: 100 * 1024 },
    });
    expect(differences(recorder, other)).toEqual(["~ Guest coreos1-guest"]);
  });

  test("has a config drive with who may log in, its host key and its address", () => {
    const { inputs } = recorder.named("coreos1-guest");
    const text = String(plain(inputs.installerUserData));
    expect(text.startsWith("#cloud-config\n")).toBe(true);
    const key = { path: "/etc/ssh/ssh_host_ed25519_key", permissions: "0600" };
    expect(parse(text)).toMatchObject({
      hostname: "coreos1",
      ssh_authorized_keys: ["ssh-ed25519 fleet-login-key"],
      write_files: [
        { ...key, content: "private coreos1-installer-host-key\n" },
        { path: `${key.path}.pub`, content: "ssh-ed25519 coreos1-installer-host-key\n" },
      ],
      coreos: { units: [{ name: "00-moorage.network", runtime: true }] },
    });
    const [unit] = (parse(text) as { coreos: { units: { content: string }[] } }).coreos.units;
    expect(unit?.content).toMatch(/Name=enp0s3[^]*Address=10\.0\.2\.11\/24\nGateway=10\.0\.2\.1/);
    expect(secretPaths(inputs)).toEqual([
      ...[0, 1, 2].map((at) => `cluster.managers.${at}.privateKey`),
      ...[0, 1, 2, 3].map((at) => `cluster.store.storageNodes.${at}.privateKey`),
      ...["installer.privateKey", "installerUserData", "target.privateKey"],
    ]);
  });

  test("has another pinned key while it is installed than afterwards", () => {
    const endpoint = { host: "127.0.0.1", port: 2012, user: "core" };
    expect(preflightOf(recorder).hosts.coreos2).toMatchObject({
      installer: { ...endpoint, hostKey: "ssh-ed25519 coreos2-installer-host-key" },
      target: { ...endpoint, hostKey: "ssh-ed25519 coreos2-host-key" },
    });
  });

  test("has its forward lead to it once it boots its live installer, at a new address too", () => {
    const to = { listen: "127.0.0.1", port: 2012, address: "10.0.2.12", targetPort: 22 };
    const forward = { network: "moorage", name: "ssh-coreos2", to };
    expect(plain(recorder.named("coreos2-guest").inputs)).toMatchObject({ forward });
    expect(shown(recorder.named("coreos2-installation").inputs)).toMatchObject({
      guest: { again: { forward } },
    });
    expect(shown(recorder.named("virtualbox-network").inputs)).toMatchObject({
      systems: { "ssh-coreos2": { node: "coreos2", port: 2012, hostKey: "ssh-ed25519 coreos2-host-key" } },
    });
  });

  test("boots the installer's image with the checksum that was verified", async () => {
    const guestOf = (from: Recorder) => preflightOf(from).hosts.coreos2?.guest;
    const iso = { iso: "/vms/virtualbox-iso.iso", isoSha256: "sha256 of virtualbox-iso" };
    expect(guestOf(recorder)).toEqual({ hypervisor: {}, name: "coreos2", stack, ...iso });
    expect(shown(recorder.named("coreos2-guest").inputs)).toMatchObject(iso);
    // Nothing says what the owner's own image has to be, unless it is signed.
    const path = "/isos/own.iso";
    const other = await guests(withHypervisor({ iso: { path } }));
    expect(guestOf(other)).not.toHaveProperty("isoSha256");
    expect(other.named("coreos2-guest").inputs).not.toHaveProperty("isoSha256");
    const signingKey = "-----BEGIN PGP PUBLIC KEY BLOCK-----\nx\n-----END PGP PUBLIC KEY BLOCK-----";
    const signed = await guests(withHypervisor({ iso: { path, signingKey } }));
    expect(guestOf(signed)).toMatchObject({ isoSha256: iso.isoSha256 });
  });

  test("is installed again if it is created again", () => {
    expect(shown(recorder.named("coreos1-installation").inputs)).toMatchObject({
      guest: { hypervisor: {}, name: "coreos1", id: "coreos1-guest-id" },
    });
  });

  test("has no data disk without storage, and adds to the names of the others", async () => {
    const more = await guests(({ nodes: all = {} }) => {
      const place = { address: "10.0.2.15", ssh: { port: 2015 }, disk: "/dev/sda" };
      all.coreos5 = { ...place, roles: ["worker", "edge"] };
    });
    expect(more.named("coreos5-guest").inputs.withPowerCycle).not.toHaveProperty("dataDisk");
    expect(identities(more).filter((one) => !one.includes("coreos5"))).toEqual(identities(recorder));
  });

  test("is installed again at another address, and no other is", async () => {
    const address = "10.0.2.23";
    const moved = await guests((own) => Object.assign(own.nodes?.coreos3 as object, { address }));
    const own = differences(recorder, moved).filter((one) =>
      /(Guest|Installation|NodeNetwork|SwarmMember|NatNetwork) /.test(one),
    );
    expect(own).toEqual([
      "~ Guest coreos3-guest",
      "~ Installation coreos3-installation",
      "~ NatNetwork virtualbox-network",
      "~ NodeNetwork coreos3-network",
      "~ SwarmMember swarm-coreos3",
    ]);
  });
});
