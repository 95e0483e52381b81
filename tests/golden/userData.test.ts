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
import { appliedIgnition } from "../support/userData";
import {
  cloudinitFor,
  nmcliFor,
  validateCloudConfig,
  validateIgnition,
  validateKeyfile,
} from "../support/validators";
import { articleConfig, byMacConfig, everythingConfig, installedUserData, wholeUserData } from "./everything";
import { expectGolden, goldenFiles } from "./golden";
import { fedora, flatcar } from "./models";

const hash = "0".repeat(64);

/** The files inside the Ignition, decoded, below it: in the JSON they are one line each. */
function readable(ignition: string): string {
  const { storage } = JSON.parse(ignition) as {
    storage: { files: { path: string; contents: { source: string } }[] };
  };
  const files = storage.files.map(({ path, contents }) => {
    expect(contents.source.startsWith("data:,")).toBe(true);
    return `### ${path}\n${decodeURIComponent(contents.source.slice("data:,".length))}`;
  });
  return `${ignition}\n${files.join("\n")}`;
}

it("Ignition for Flatcar", () => {
  expectGolden(
    "ignition-flatcar.txt",
    readable(renderUserData(flatcar, { format: "ignition", installHash: hash })),
  );
});

it("Ignition for Fedora CoreOS", () => {
  expectGolden(
    "ignition-fedora-coreos.txt",
    readable(renderUserData(fedora, { format: "ignition", installHash: hash })),
  );
});

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
  it("Ignition for Flatcar", () => {
    const text = wholeUserData(everythingConfig("flatcar"), "ignition");
    expectGolden("everything-flatcar.ign.txt", readable(text));
    expect(validateIgnition(text)).toBe("");
  });

  it("cloud-config for Flatcar", () => {
    const raw = everythingConfig("flatcar");
    Object.assign(raw.os ?? {}, { format: "cloud-config" });
    expectGolden("everything-flatcar.cloud-config.txt", wholeUserData(raw, "cloud-config"));
  });

  it("Ignition for Fedora CoreOS", () => {
    const text = wholeUserData(everythingConfig("fedora-coreos"), "ignition");
    expectGolden("everything-fedora-coreos.ign.txt", readable(text));
    expect(validateIgnition(text)).toBe("");
    const { files } = appliedIgnition(text);
    const connections = Object.keys(files).filter((path) => path.endsWith(".nmconnection"));
    expect(connections).toHaveLength(6);
    for (const path of connections) expect(files[path]?.mode, path).toBe(0o600);
  });

  it("cloud-config for Container Linux", () => {
    expectGolden("everything-coreos.cloud-config.txt", wholeUserData(articleConfig(), "cloud-config", "$1$madeup$hash"));
  });

  it("cloud-config for Container Linux, with the keys that the first set-up did not have", () => {
    const text = wholeUserData(everythingConfig("coreos"), "cloud-config");
    expectGolden("everything-coreos-nics.cloud-config.txt", text);
  });

  it("passes coreos-cloudinit's validation for Flatcar", (context) => {
    const bin = cloudinitFor(context);
    const text = wholeUserData(everythingConfig("flatcar"), "cloud-config");
    expect(validateCloudConfig(bin, text)).toEqual([]);
  });
});

describe("a first interface by its MAC address, with VLANs, an MTU of one, and static interfaces with gateways", () => {
  const rendered = (distribution: Distribution, format: UserDataFormat) => {
    const raw = byMacConfig(distribution);
    Object.assign(raw.os ?? {}, { format });
    return installedUserData(raw, format);
  };

  it.each(["flatcar", "fedora-coreos"] as const)("Ignition for %s", (distribution) => {
    const text = rendered(distribution, "ignition");
    expectGolden(`by-mac-${distribution}.ign.txt`, readable(text));
    expect(validateIgnition(text)).toBe("");
  });

  it.each(["flatcar", "coreos"] as const)("cloud-config for %s", (distribution) => {
    expectGolden(`by-mac-${distribution}.cloud-config.txt`, rendered(distribution, "cloud-config"));
  });

  it("passes coreos-cloudinit's validation for Flatcar", (context) => {
    const bin = cloudinitFor(context);
    expect(validateCloudConfig(bin, rendered("flatcar", "cloud-config"))).toEqual([]);
  });
});

/** NetworkManager's keyfiles in all golden files, each by its golden file and its path. */
function goldenKeyfiles(): Map<string, string> {
  const inIgnition = /"path": "(\S+\.nmconnection)",[^{}]*"contents": \{\s*"source": "data:,([^"]*)"/g;
  const found = new Map<string, string>();
  for (const [name, text] of Object.entries(goldenFiles())) {
    for (const [, path = "", source = ""] of text.matchAll(inIgnition)) {
      found.set(`${name} ${path}`, decodeURIComponent(source));
    }
  }
  return found;
}

describe("NetworkManager", () => {
  it("reads every golden keyfile, and keeps every setting", async (context) => {
    const nmcli = await nmcliFor(context);
    const keyfiles = goldenKeyfiles();
    expect(keyfiles.size).toBe(13);
    for (const [name, text] of keyfiles) expect(validateKeyfile(nmcli, text), name).toEqual([]);
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
    const path = "/etc/NetworkManager/system-connections/moorage.nmconnection";
    const text = goldenKeyfiles().get(`everything-fedora-coreos.ign.txt ${path}`) ?? "";
    expect(text).toContain(right);
    expect(validateKeyfile(nmcli, text.replace(right, wrong))).toEqual([expect.stringMatching(finding)]);
  });
});

it("an update strategy, by what it makes of each distribution's user data", () => {
  const text = (model: UserDataModel, format: UserDataFormat, updateStrategy: UpdateStrategy) => {
    const rendered = renderUserData({ ...model, updateStrategy }, { format, installHash: hash });
    return (format === "ignition" ? readable(rendered) : rendered).split("\n");
  };
  const models: UserDataModel[] = [flatcar, fedora, { ...flatcar, distribution: "coreos" }];
  const parts = models.flatMap((model) => {
    const { distribution } = model;
    const others: UpdateStrategy[] = distribution === "fedora-coreos" ? ["reboot"] : ["reboot", "etcd-lock"];
    return formatsOf[distribution].flatMap((format) => {
      const off = text(model, format, "off");
      return others.map((strategy) => {
        const lines = text(model, format, strategy);
        expect(lines).toHaveLength(off.length);
        const changed = lines.flatMap((line, at) => (line === off[at] ? [] : [`- ${off[at]}`, `+ ${line}`]));
        return [`### ${distribution}, ${format}: ${strategy}, where off was`, ...changed, ""].join("\n");
      });
    });
  });
  expectGolden("update-strategies.txt", parts.join("\n"));
});
