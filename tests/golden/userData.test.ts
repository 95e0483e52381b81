import {
  formatsOf,
  installHashOf,
  renderUserData,
  type Distribution,
  type UpdateStrategy,
  type UserDataFormat,
  type UserDataModel,
} from "@moorage/render";
import { describe, expect, it } from "vitest";
import { appliedCloudConfig, appliedIgnition, type Applied } from "../support/userData";
import {
  cloudinitFor,
  nmcliFor,
  validateCloudConfig,
  validateIgnition,
  validateKeyfile,
} from "../support/validators";
import { byMacConfig, everythingConfig, installedUserData, wholeUserData } from "./everything";
import { difference, expectGolden, expectVariant, readable } from "./golden";
import { fedora, flatcar } from "./models";

it("a node keeps the digest that it was installed with, whatever becomes of its network but its address", () => {
  expect(installHashOf(flatcar)).toBe("5115a65c68731b0dbed7185da36e9606a4adc15013e4db3af34bb4443a628018");
  expect(installHashOf(fedora)).toBe("f330d19e1f712ee03ea9b02b42bee7c2de8798d057a88205040cf2f57e0e9d0a");
  const { network } = flatcar;
  const other = { match: "eth0", address: network.address, prefixLength: 16, dns: [], domains: [], mtu: 9000 };
  const changed = { ...flatcar, network: other, vlans: [{ name: "v7", id: 7, address: "10.30.0.11/24" }] };
  expect(installHashOf(changed)).toBe(installHashOf(flatcar));
  expect(installHashOf({ ...flatcar, network: { ...network, address: "10.0.2.12" } })).not.toBe(installHashOf(flatcar));
  // A cloud-config is applied at every boot.
  expect(installHashOf(flatcar, "cloud-config")).toBe("70bcb8a6c9d6c1fe804e93323b943e699280c07e74ff4dcc9d3aaddac439e28c");
  expect(installHashOf(changed, "cloud-config")).not.toBe(installHashOf(flatcar, "cloud-config"));
});

describe("everything that a configuration can have in user data, in one text", () => {
  const everything = (distribution: Distribution, format: UserDataFormat) => {
    const raw = everythingConfig(distribution);
    Object.assign(raw.os ?? {}, { format });
    return wholeUserData(raw, format);
  };

  it("Ignition for Flatcar", () => {
    const text = everything("flatcar", "ignition");
    expectGolden("everything-flatcar.ign.txt", readable(text));
    expect(validateIgnition(text)).toBe("");
  });

  it("Ignition for Fedora CoreOS", () => {
    const text = everything("fedora-coreos", "ignition");
    expectVariant("everything-fedora-coreos.ign.txt", readable(everything("flatcar", "ignition")), readable(text));
    expect(validateIgnition(text)).toBe("");
    const keyfiles = keyfilesIn(text);
    expect(Object.keys(keyfiles)).toHaveLength(6);
    for (const [path, { mode }] of Object.entries(keyfiles)) expect(mode, path).toBe(0o600);
  });

  it("cloud-config for Flatcar", (context) => {
    const text = everything("flatcar", "cloud-config");
    expectGolden("everything-flatcar.cloud-config.txt", text);
    expect(validateCloudConfig(cloudinitFor(context), text)).toEqual([]);
  });

  it("cloud-config for Container Linux", () => {
    const [flatcars, text] = [everything("flatcar", "cloud-config"), everything("coreos", "cloud-config")];
    expectVariant("everything-coreos.cloud-config.txt", flatcars, text);
  });
});

describe("a first interface by its MAC address, with VLANs, an MTU of one, and static interfaces with gateways", () => {
  const rendered = (distribution: Distribution, format: UserDataFormat) => {
    const raw = byMacConfig(distribution);
    Object.assign(raw.os ?? {}, { format });
    return installedUserData(raw, format);
  };
  const networkd = ({ files }: Applied) =>
    Object.entries(files)
      .filter(([path]) => path.startsWith("/etc/systemd/network/"))
      .map(([path, { content }]) => `### ${path}\n${content}`)
      .join("\n");

  it("Ignition and cloud-config for Flatcar", (context) => {
    const [ignition, cloudConfig] = [rendered("flatcar", "ignition"), rendered("flatcar", "cloud-config")];
    expectGolden("by-mac-flatcar.txt", networkd(appliedIgnition(ignition)));
    expect(validateIgnition(ignition)).toBe("");
    expect(networkd(appliedCloudConfig(cloudConfig))).toBe(networkd(appliedIgnition(ignition)));
    expect(validateCloudConfig(cloudinitFor(context), cloudConfig)).toEqual([]);
  });

  it("cloud-config for Container Linux", () => {
    const flatcars = networkd(appliedCloudConfig(rendered("flatcar", "cloud-config")));
    const text = networkd(appliedCloudConfig(rendered("coreos", "cloud-config")));
    expectVariant("by-mac-coreos.txt", flatcars, text);
  });

  it("Ignition for Fedora CoreOS", () => {
    const text = rendered("fedora-coreos", "ignition");
    const keyfiles = Object.entries(keyfilesIn(text));
    expectGolden("by-mac-fedora-coreos.txt", keyfiles.map(([path, { content }]) => `### ${path}\n${content}`).join("\n"));
    expect(validateIgnition(text)).toBe("");
  });
});

/** NetworkManager's files in Ignition, by their paths. */
const keyfilesIn = (ignition: string): Applied["files"] =>
  Object.fromEntries(
    Object.entries(appliedIgnition(ignition).files).filter(([path]) => path.endsWith(".nmconnection")),
  );

describe("NetworkManager", () => {
  const everything = keyfilesIn(wholeUserData(everythingConfig("fedora-coreos"), "ignition"));
  const byMac = keyfilesIn(installedUserData(byMacConfig("fedora-coreos"), "ignition"));

  it("reads every keyfile, and keeps every setting", async (context) => {
    const nmcli = await nmcliFor(context);
    for (const [path, { content }] of [...Object.entries(everything), ...Object.entries(byMac)])
      expect(validateKeyfile(nmcli, content), path).toEqual([]);
  });

  // The first two it refuses; the others it passes over without a word.
  it.for([
    ["method=manual", "method=static", /ipv4\.method/],
    ["10.0.2.11/", "10.0.2.311/", /ipv4\.addresses/],
    ["11/24", "11/33", /^passed over: \[ipv4\] address1=10\.0\.2\.11\/33,10\.0\.2\.1$/],
    ["route-metric=", "metric=", /^passed over: \[ipv4\] metric=10$/],
    [".2;", ".2,", /^passed over: \[ipv4\] dns=10\.0\.2\.2,10\.0\.2\.3;$/],
    ["mtu=1500", "mtu=1500B", /^passed over: \[ethernet\] mtu=1500B$/],
  ] as const)("is seen not to take %s written as %s", async ([right, wrong, finding], context) => {
    const nmcli = await nmcliFor(context);
    const text = everything["/etc/NetworkManager/system-connections/moorage.nmconnection"]?.content ?? "";
    expect(text).toContain(right);
    expect(validateKeyfile(nmcli, text.replace(right, wrong))).toEqual([expect.stringMatching(finding)]);
  });
});

it("an update strategy, by what it makes of each distribution's user data", () => {
  const models: UserDataModel[] = [flatcar, fedora, { ...flatcar, distribution: "coreos" }];
  const parts = models.flatMap((model) => {
    const { distribution } = model;
    const others: UpdateStrategy[] = distribution === "fedora-coreos" ? ["reboot"] : ["reboot", "etcd-lock"];
    return formatsOf[distribution].flatMap((format) => {
      const text = (updateStrategy: UpdateStrategy) => {
        const rendered = renderUserData({ ...model, updateStrategy }, { format, installHash: "0" });
        return format === "ignition" ? readable(rendered) : rendered;
      };
      return others.map((strategy) => `### ${distribution}, ${format}: ${strategy}, where off was\n${difference(text("off"), text(strategy))}`);
    });
  });
  expectGolden("update-strategies.txt", parts.join("\n"));
});
