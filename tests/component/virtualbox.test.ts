import * as os from "node:os";
import { beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { reachedThrough } from "../../components/machine/virtualBoxNetwork";
import { parseStackConfig } from "../../config/stack";
import { plain, secretPaths, shown, unknownPaths, type Recorder } from "../support/mocks";
import { rawStack, type RawConfig } from "../support/stacks";
import { differences, identities, rawConfig } from "./parts";
import { program } from "./program";

/** The article's stack after a change, with images that no archive has to be at hand for. */
function raw(change: (raw: RawConfig) => void = () => undefined): RawConfig {
  const own = { ...structuredClone(rawStack("virtualbox")), images: rawConfig().images ?? {} };
  change(own);
  return own;
}

const remote = {
  host: "workstation.domain.com",
  user: "you",
  hostKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEugY/LZ66voPYivFWHdYXgfuTsEBOV9MTdB1A/FlUpO",
};

let recorder: Recorder;
beforeAll(async () => void (recorder = await program(raw())));

describe("what guests need on their hypervisor", () => {
  test("is a NAT network and the installer's image", () => {
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
    const ssh = (port: number, last: number) => ({
      listen: "127.0.0.1",
      port,
      address: `10.0.2.${last}`,
      targetPort: 22,
    });
    expect(inputs).toEqual({
      hypervisor: {},
      name: "moorage",
      stack: "organization/moorage/dev",
      subnet: "10.0.2.0/24",
      dhcp: false,
      forwards: {
        "ssh-coreos1": ssh(2011, 11),
        "ssh-coreos2": ssh(2012, 12),
        "ssh-coreos3": ssh(2013, 13),
        "ssh-coreos4": ssh(2014, 14),
        registry: { listen: "127.0.0.1", port: 8443, address: "10.0.2.10", targetPort: 443 },
      },
    });
    expect([...Object.keys(systems as object), "registry"].sort()).toEqual(
      Object.keys(inputs.forwards as object).sort(),
    );
  });

  test("is the live image of the channel the nodes are installed from", () => {
    expect(recorder.named("virtualbox-iso").inputs).toMatchObject({
      url: "https://{channel}.release.flatcar-linux.net/amd64-usr/{version}/flatcar_production_iso_image.iso",
      channel: "alpha",
    });
  });

  test("is fetched by the proxy of each scheme, and what is inside without one", async () => {
    const proxies = { http: "http://plain:3128", https: "http://tls:3128", exclude: [".lab"] };
    const other = await program(raw((own) => (own.os = { ...own.os, proxies })));
    const told = other.named("virtualbox-iso").inputs.proxies as { none: string[] };
    expect(told).toMatchObject({ http: "http://plain:3128", https: "http://tls:3128" });
    expect(told.none).toEqual(expect.arrayContaining([".lab", "10.0.2.11"]));
  });

  test("is reached over SSH where it is another machine, and listens for this one there", async () => {
    const other = await program(raw((own) => (own.hypervisor = { ...own.hypervisor, ssh: remote })));
    const { hypervisor, forwards } = shown(other.named("virtualbox-network").inputs) as {
      hypervisor: unknown;
      forwards: Record<string, { listen: string }>;
    };
    expect(hypervisor).toEqual({ connection: { node: "hypervisor", port: 22, ...remote } });
    expect(forwards.registry?.listen).toBe("0.0.0.0");
    expect(other.named("coreos1-base").inputs.connection).toMatchObject({ host: remote.host, port: 2011 });
    const certificate = other.named("ca-front-request").inputs;
    expect(certificate).toMatchObject({ dnsNames: [remote.host, "localhost"] });
    expect(shown(other.outputs.get("moorage-dev"))).toMatchObject({
      sshCommands: { coreos4: `ssh -p 2014 core@${remote.host}` },
    });
  });

  test("gives the registry the names under which its forward is reached", () => {
    expect(recorder.named("ca-front-request").inputs).toMatchObject({
      dnsNames: ["localhost"],
      ipAddresses: expect.arrayContaining(["10.0.2.10", "127.0.0.1"]),
    });
  });

  test("has its own name in the certificate once others are let in, or the configured one", async () => {
    const namesOf = async (hypervisor: object) => {
      const other = await program(raw((own) => (own.hypervisor = { ...own.hypervisor, ...hypervisor })));
      return other.named("ca-front-request").inputs.dnsNames;
    };
    const network = { listen: "0.0.0.0" };
    expect(await namesOf({ network })).toEqual([os.hostname().toLowerCase(), "localhost"]);
    expect(await namesOf({ network, hostname: "desk.domain.com" })).toEqual(["desk.domain.com", "localhost"]);
    const onceNamed = (change: object, name: string) => {
      const own = raw((all) => (all.hypervisor = { ...all.hypervisor, ...change }));
      return reachedThrough(parseStackConfig(own), name).alternativeNames;
    };
    const without = ["127.0.0.1", "localhost"];
    // What there was is as it was.
    expect(onceNamed({ ssh: { ...remote, host: "Work_Station" } }, "other")).toEqual([
      "Work_Station",
      "localhost",
      "127.0.0.1",
    ]);
    expect(onceNamed({ network }, "Workstation")).toEqual(["workstation", ...without]);
    expect(onceNamed({ network }, "no_name")).toEqual(without);
    expect(onceNamed({ network: { listen: "127.0.0.2" } }, "Workstation")).toEqual(without);
    // Somebody else's machine, be it through a tunnel.
    expect(onceNamed({ ssh: { ...remote, host: "127.0.0.1" }, network }, "Workstation")).toEqual(without);
  });
});

describe("a guest", () => {
  test("is made before any host is looked at, which is before it is installed", () => {
    expect(recorder.children("coreos3")).toContain("Guest coreos3-guest");
    const { dependencies } = recorder.named("coreos3-guest");
    expect(dependencies).toEqual(expect.arrayContaining(["virtualbox-iso", "virtualbox-network"]));
    const guests = [1, 2, 3, 4].map((at) => `coreos${at}-guest`);
    expect(recorder.named("fleet-preflight").dependencies).toEqual(expect.arrayContaining(guests));
    expect(recorder.named("coreos3-installation").dependencies).toContain("fleet-preflight");
  });

  test("has what the hypervisor's settings say, or its own node", async () => {
    expect(plain(recorder.named("coreos1-guest").inputs)).toMatchObject({
      name: "coreos1",
      stack: "organization/moorage/dev",
      network: "moorage",
      iso: "/vms/virtualbox-iso.iso",
      keepDataDisk: true,
      withPowerCycle: {
        memory: 2048,
        cpus: 2,
        nicType: "virtio",
        usb: false,
        audio: false,
        boot: "disk,dvd",
        systemDisk: 16 * 1024,
        dataDisk: 64 * 1024,
      },
    });
    const own = { memory: 8192, cpus: 4, dataDisk: 100, mac: "08:00:27:00:00:1a" };
    const other = await program(raw((all) => Object.assign(all.nodes?.coreos1 as object, { guest: own })));
    expect(plain(other.named("coreos1-guest").inputs.withPowerCycle)).toMatchObject({
      memory: 8192,
      cpus: 4,
      systemDisk: 16 * 1024,
      dataDisk: 100 * 1024,
      mac: "08002700001A",
    });
    expect(differences(recorder, other)).toEqual(["~ Guest coreos1-guest"]);
  });

  test("is told by its config drive who may log in, its host key and its address", () => {
    const { inputs } = recorder.named("coreos1-guest");
    const text = String(plain(inputs.installerUserData));
    expect(text.startsWith("#cloud-config\n")).toBe(true);
    expect(parse(text)).toMatchObject({
      hostname: "coreos1",
      ssh_authorized_keys: ["ssh-ed25519 fleet-login-key"],
      write_files: [
        {
          path: "/etc/ssh/ssh_host_ed25519_key",
          permissions: "0600",
          content: "private coreos1-installer-host-key\n",
        },
        { path: "/etc/ssh/ssh_host_ed25519_key.pub", content: "ssh-ed25519 coreos1-installer-host-key\n" },
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

  test("is pinned from the first contact, by another key than the installed system's", () => {
    const { hosts } = shown(recorder.named("fleet-preflight").inputs) as { hosts: Record<string, unknown> };
    expect(hosts.coreos2).toMatchObject({
      installer: {
        host: "127.0.0.1",
        port: 2012,
        user: "core",
        hostKey: "ssh-ed25519 coreos2-installer-host-key",
      },
      target: { host: "127.0.0.1", port: 2012, user: "core", hostKey: "ssh-ed25519 coreos2-host-key" },
    });
  });

  test("has its forward lead to it once it boots its live installer, at another address where that has changed", () => {
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

  test("is looked at before it boots its installer, with the installer's image as that was checked", async () => {
    const guestOf = (one: Recorder) => {
      const { hosts } = shown(one.named("fleet-preflight").inputs) as {
        hosts: Record<string, { guest: object }>;
      };
      return hosts.coreos2?.guest;
    };
    const stack = "organization/moorage/dev";
    const iso = { iso: "/vms/virtualbox-iso.iso", isoSha256: "sha256 of virtualbox-iso" };
    expect(guestOf(recorder)).toEqual({ hypervisor: {}, name: "coreos2", stack, ...iso });
    // A new one looks for itself.
    expect(shown(recorder.named("coreos2-guest").inputs)).toMatchObject(iso);
    // Nothing says what an owner's own image has to be.
    const path = "/isos/own.iso";
    const other = await program(raw((all) => (all.hypervisor = { ...all.hypervisor, iso: { path } })));
    expect(guestOf(other)).not.toHaveProperty("isoSha256");
    expect(other.named("coreos2-guest").inputs).not.toHaveProperty("isoSha256");
    // But his key does.
    const signed = {
      path,
      signingKey: "-----BEGIN PGP PUBLIC KEY BLOCK-----\nx\n-----END PGP PUBLIC KEY BLOCK-----",
    };
    const known = await program(raw((all) => (all.hypervisor = { ...all.hypervisor, iso: signed })));
    expect(guestOf(known)).toMatchObject({ isoSha256: iso.isoSha256 });
  });

  test("that is made anew is installed anew", () => {
    expect(shown(recorder.named("coreos1-installation").inputs)).toMatchObject({
      guest: { hypervisor: {}, name: "coreos1", id: "coreos1-guest-id" },
    });
  });

  test("without storage has no data disk", async () => {
    const six = await program(
      raw((own) => {
        const node = {
          address: "10.0.2.15",
          roles: ["worker", "edge"],
          ssh: { port: 2015 },
          disk: "/dev/sda",
        };
        Object.assign(own.nodes as object, { coreos5: node });
      }),
    );
    expect(six.named("coreos5-guest").inputs.withPowerCycle).not.toHaveProperty("dataDisk");
    expect(identities(six).filter((one) => !one.includes("coreos5"))).toEqual(identities(recorder));
  });
});

test("the first preview knows what will be made, and no secret is shown", async () => {
  const preview = await program(raw(), { firstPreview: true });
  expect(identities(preview)).toEqual(identities(recorder));
  expect(unknownPaths(preview.named("coreos1-guest").inputs)).toEqual(
    expect.arrayContaining(["iso", "installerUserData"]),
  );
  expect(unknownPaths(preview.named("coreos1-guest").inputs)).not.toContain("withPowerCycle");
});

test("another address of a node installs that one anew, and no other", async () => {
  const address = "10.0.2.23";
  const moved = await program(raw((own) => Object.assign(own.nodes?.coreos3 as object, { address })));
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
