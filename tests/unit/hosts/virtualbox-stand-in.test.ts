/** The stand-in for VBoxManage prints the lines that VirtualBox was seen to print: no others, and in their order. */
import { beforeAll, describe, expect, it } from "vitest";
import { guest } from "../../../hosts/src/virtualbox/guest";
import { natNetwork } from "../../../hosts/src/virtualbox/network";
import { natNetworkListing, parseVersion } from "../../../hosts/src/virtualbox/version";
import { answeringSystem, TestVirtualBox } from "./support/virtualbox";
import * as said from "./support/virtualbox-said";

/** What each line is about, once; numbers and the controller's name are the guest's own affair. */
function keysOf(output: string): string[] {
  const keys = output.split(/\r?\n/).flatMap((line) => {
    const [, quoted, plain] = /^(?:"([^"]*)"=|([^\s"=:][^"=:]*))/.exec(line) ?? [];
    const key = quoted ?? plain;
    return key === undefined ? [] : [key.trim()];
  });
  return [...new Set(keys.map((key) => key.replace(/^(SATA|IDE)-/, "CONTROLLER-").replace(/\d+/g, "N")))];
}

/** What a listing does not say, as its guest is on no NAT network, its network has no forwards, or it was cut short. */
const elsewhere: Readonly<Record<string, string>> = {
  "nat-networkN": said.info72,
  "Port-forwarding (ipvN)": said.networks72,
  storagecontrollernameN: said.info70,
  storagecontrollertypeN: said.info70,
};

/**
 * What stands in VBoxManageInfo.cpp since, of which no whole listing was found, nor one of 7.1 at all: that has a guest's
 * lines of 7.0 and 7.2, and of networks those that the sources of 7.0.14 and 7.2.10 have alike.
 */
const since71 = ["encryption", "platformArchitecture"];
const info70 = said.info70.replace(/^Encryption:.*\n/m, "");

const show = () => ["showvminfo", "coreos1", "--machinereadable"];
const showDisk = (box: TestVirtualBox) => [
  "showmediuminfo",
  "disk",
  box.file("vms", "coreos1", "coreos1-system.vdi"),
];
const properties = () => ["list", "systemproperties"];
const networks = (version: string) => () => natNetworkListing(parseVersion(version) ?? expect.unreachable());

interface Listing {
  readonly version: string;
  readonly args: (box: TestVirtualBox) => string[];
  readonly texts: readonly string[];
  readonly more?: readonly string[];
}

const [six, sevenFirst, seven, seventyOne, seventyTwo] = [
  "6.1.50r161033",
  "7.0.6r155176",
  "7.0.20r163906",
  "7.1.4r165100",
  "7.2.4r170995",
] as const;
const listings: [what: string, listing: Listing][] = [
  ["a guest in 6.1", { version: six, args: show, texts: [said.info61, said.rest60] }],
  ["a guest in 7.0", { version: seven, args: show, texts: [said.info70] }],
  ["a guest in 7.1", { version: seventyOne, args: show, texts: [info70], more: since71 }],
  ["a guest in 7.2", { version: seventyTwo, args: show, texts: [said.info72, info70], more: since71 }],
  ["NAT networks in 6.1", { version: six, args: networks(six), texts: [said.networks61] }],
  ["NAT networks in 7.0", { version: sevenFirst, args: networks(sevenFirst), texts: [said.networks70] }],
  ["NAT networks in 7.0.14", { version: seven, args: networks(seven), texts: [said.networks72] }],
  ["NAT networks in 7.1", { version: seventyOne, args: networks(seventyOne), texts: [said.networks72] }],
  ["NAT networks in 7.2", { version: seventyTwo, args: networks(seventyTwo), texts: [said.networks72] }],
  ["types of guests", { version: seven, args: () => ["list", "ostypes"], texts: [said.osTypes] }],
  ["a disk", { version: seven, args: showDisk, texts: [said.medium] }],
  ["properties in 7.0", { version: seven, args: properties, texts: [said.properties70] }],
  [
    "properties in 7.2",
    { version: seventyTwo, args: properties, texts: [said.properties72, said.properties70] },
  ],
];

const boxes = new Map<string, TestVirtualBox>();
beforeAll(async () => {
  const system = (await answeringSystem()).connection();
  for (const version of [six, sevenFirst, seven, seventyOne, seventyTwo]) {
    const box = new TestVirtualBox(version);
    await natNetwork.create(box.network());
    await guest.create(box.guest(system));
    boxes.set(version, box);
  }
});

describe("of what this project reads, the stand-in's listing of", () => {
  it.each(listings)("%s has no line that VirtualBox's has not", async (_what, listing) => {
    const { version, args, texts, more = [] } = listing;
    const box = boxes.get(version) ?? expect.unreachable();
    const ours = keysOf(await box.manage(...args(box)));
    const known = [...texts.flatMap(keysOf), ...Object.keys(elsewhere), ...more];
    expect(ours.filter((key) => !known.includes(key))).toEqual([]);
    expect(ours.length).toBeGreaterThan(3);
    for (const theirs of texts.map(keysOf)) {
      const both = ours.filter((key) => theirs.includes(key));
      expect(both).toEqual(theirs.filter((key) => ours.includes(key)));
    }
  });
});

it("what a listing does not say is said by another one", () => {
  for (const [key, text] of Object.entries(elsewhere)) expect(keysOf(text)).toContain(key);
});

it("a line is known by what it is about, in each of its forms", () => {
  const lines = ['name="a=b"', '"IDE-1-0"="x"', "Encryption:     disabled", " rec_screen0", "memory=1"];
  const listing = [...lines, 'boot1="x"', 'boot2="y"', ""].join("\n");
  expect(keysOf(listing)).toEqual(["name", "CONTROLLER-N-N", "Encryption", "memory", "bootN"]);
});
