import { describe, expect, it } from "vitest";
import { mediumIn, otherController, ports } from "../../../hosts/src/virtualbox/media";
import {
  parseCapacity,
  parseExtraData,
  parseLine,
  parseNatNetworks,
  parseOsTypes,
  parseVmInfo,
} from "../../../hosts/src/virtualbox/parse";
import { isConnected, settingsOf } from "../../../hosts/src/virtualbox/settings";
import {
  audioArguments,
  isAtLeast,
  natNetworkListing,
  parseVersion,
  requireUsable,
} from "../../../hosts/src/virtualbox/version";
import {
  info60,
  info70,
  info72,
  medium,
  networks61,
  networks70,
  networks72,
  properties72,
} from "./support/virtualbox-said";

const seven = parseVmInfo(info70);
const sevenTwo = parseVmInfo(info72);

describe("showvminfo --machinereadable", () => {
  it("is read with escapes and either end of line, though some lines have another form", () => {
    const info = parseVmInfo(info60);
    expect(info.get("UUID")).toBe("7163bae0-5075-49fc-b3a7-b2831c06aa40");
    expect(info.get("CfgFile")).toBe(String.raw`F:\VirtualBox VMs\gitlab\gitlab.vbox`);
    expect(info.get("memory")).toBe("1024");
    expect(info.get("VMState")).toBe("running");
    expect(seven.get("BIOS NVRAM File")).toMatch(/clean\.nvram$/);
    expect(seven.get("rec_screen_enabled")).toBe("on");
    expect(seven.get("GuestMemoryBalloon")).toBe("0");
  });

  it("is not deceived by what stands inside a text of several lines", () => {
    // This description is of our own making; quotes are escaped as in paths.
    const own = 'description="Imported\nVMState=\\"running\\"\nname=web2\nthe end"\nlast=1\n';
    const info = parseVmInfo(`${info70}${own}`);
    expect(info.get("name")).toBe("manjaro-gnome-x64-full-clean");
    expect(info.get("VMState")).toBe("poweroff");
    expect(info.get("description")).toBe('Imported\nVMState="running"\nname=web2\nthe end');
    expect(info.get("last")).toBe("1");
  });

  it("tells what is in each port, and which NAT network a card is in", () => {
    expect([seven.get("IDE-1-0"), seven.get("IDE-1-1")]).toEqual(["emptydrive", "none"]);
    expect(mediumIn(seven, ports.system)).toMatch(/clean-disk001\.vdi$/);
    expect(mediumIn(seven, ports.data)).toBeUndefined();
    expect([sevenTwo.get("nic1"), sevenTwo.get("nat-network1")]).toEqual(["natnetwork", "AD-LAB-NET"]);
  });

  const wanted = {
    ...{ memory: 1, cpus: 1, nicType: "", mac: "", usb: false, audio: false, boot: "" },
    systemDisk: 1,
  };
  it("gives each setting of a guest", () => {
    expect(settingsOf(seven, { ...wanted, mac: undefined })).toEqual({
      ...{ memory: 4096, cpus: 4, nicType: "82540EM", usb: true, audio: true, boot: "dvd,disk" },
    });
    expect(settingsOf(seven, wanted).mac).toBe("08002744D7F6");
    expect(isConnected(seven)).toBe(true);
    const other = info70
      .replace('ioapic="on"', 'ioapic="off"')
      .replace('rtcuseutc="on"', 'rtcuseutc="off"')
      .replace('firmware="BIOS"', 'firmware="EFI64"')
      .replace('cableconnected1="on"', 'cableconnected1="off"');
    const settings = { ioapic: false, rtcUtc: false, firmware: "EFI64" };
    expect(settingsOf(parseVmInfo(other), wanted)).toMatchObject(settings);
    expect(isConnected(parseVmInfo(other))).toBe(false);
    // Nothing of what a version does not tell.
    for (const key of Object.keys(settings)) expect(settingsOf(sevenTwo, wanted)).not.toHaveProperty(key);
    expect(isConnected(sevenTwo)).toBe(true);
  });

  it("tells what a guest's disk controller has otherwise than ours", () => {
    expect(otherController(seven)).toEqual({ controllerPorts: 1 });
    const four = info70.replace('portcount1="1"', 'portcount1="4"');
    expect(otherController(parseVmInfo(four))).toEqual({});
    const other = four.replace('type1="IntelAhci"', 'type1="LsiLogic"');
    expect(otherController(parseVmInfo(other))).toEqual({ controllerType: "LsiLogic" });
    expect(otherController(sevenTwo)).toEqual({});
  });
});

describe("NAT networks", () => {
  const usual = { name: "NatNetwork", subnet: "10.0.2.0/24", enabled: true, dhcp: true, forwards: {} };

  it("are read from the listing of 6.1", () => {
    // With a forward in the form that https://www.virtualbox.org/sdkref/interface_i_n_a_t_network.html gives.
    const forward = "Port-forwarding (ipv4)\n        Rule 1:tcp:[]:2222:[10.0.2.7]:22\n";
    const off = networks61.replace("NatNetwork", "NATNetwork101").replaceAll("Yes", "No     ");
    expect(parseNatNetworks(networks61.replace("loopback", `${forward}loopback`) + off)).toEqual([
      {
        ...usual,
        forwards: { "Rule 1": { listen: "0.0.0.0", port: 2222, address: "10.0.2.7", targetPort: 22 } },
      },
      { ...usual, name: "NATNetwork101", enabled: false, dhcp: false },
    ]);
  });

  it("are read from the listing of 7.0 and newer", () => {
    expect(parseNatNetworks(networks70)).toEqual([usual]);
    expect(parseNatNetworks(networks70.replace(/Enabled: +Yes/, "Enabled:      No"))[0]?.enabled).toBe(false);
    const ours = "ssh-coreos1:tcp:[127.0.0.1]:2011:[10.0.0.11]:22";
    expect(parseNatNetworks(networks72.replace("loopback", `        ${ours}\nloopback`))).toEqual([
      {
        ...usual,
        name: "aos-network-aos-test-s1",
        subnet: "10.0.0.0/24",
        forwards: {
          mainssh: { listen: "0.0.0.0", port: 8737, address: "10.0.0.100", targetPort: 22 },
          "ssh-coreos1": { listen: "127.0.0.1", port: 2011, address: "10.0.0.11", targetPort: 22 },
        },
      },
    ]);
    expect(parseNatNetworks("NAT Networks:\n\n0 networks found\n")).toEqual([]);
  });
});

it("other listings give a medium's size, the machine folder, extra data and types of guests", () => {
  expect(parseCapacity(medium)).toBe(2048);
  expect(parseCapacity("Capacity: a lot")).toBeUndefined();
  expect(parseLine(properties72, "Default machine folder")).toBe(String.raw`D:\Labs\AD-Lab\VirtualMachines`);
  expect(parseExtraData("Value: organization/moorage/dev\r\n")).toBe("organization/moorage/dev");
  expect(parseExtraData("No value set!\n")).toBeUndefined();
  for (const end of ["\n", "\r\n"]) {
    const types = ["ID:          Other_64", "Description: Other/Unknown (64-bit)", "Family ID:   Other", ""];
    expect([...parseOsTypes(types.join(end))]).toEqual([["Other_64", "Other/Unknown (64-bit)"]]);
  }
});

describe("versions", () => {
  // Oracle's packages, Ubuntu's and Debian's; the warning is that of a machine without the kernel module. 7.2.18 as
  // https://github.com/fabrint96-ship-it/AD-Lab has it (evidence/B1/HOST/HOST-B1-VirtualBox-Baseline.md).
  const warning =
    "WARNING: The character device /dev/vboxdrv does not exist.\n\t Please install the package\n";
  it.each<[string, number[]]>([
    ["7.2.18r175117\r\n", [7, 2, 18]],
    ["6.1.50_Ubuntur161033\n", [6, 1, 50]],
    ["7.0.16_Debianr162802\n", [7, 0, 16]],
    [`${warning}7.1.4r165100\n`, [7, 1, 4]],
  ])("%j is read", (text, [major, minor, patch]) => {
    expect(parseVersion(text)).toMatchObject({ major, minor, patch });
  });

  it("are compared number by number", () => {
    const version = parseVersion("7.1.10r1") ?? expect.unreachable();
    expect(isAtLeast(version, 7, 1, 9)).toBe(true);
    expect(isAtLeast(version, 7, 1, 11)).toBe(false);
    expect(isAtLeast(version, 6, 2)).toBe(true);
    expect(isAtLeast(version, 7, 2)).toBe(false);
    expect(parseVersion("bash: VBoxManage: command not found")).toBeUndefined();
  });

  it.each([
    ["6.1.50r1", "--audio none", "list natnetworks"],
    ["7.0.20r1", "--audio-enabled off", "natnetwork list"],
  ])("of %s have arguments of their own", (text, audio, listing) => {
    const version = parseVersion(text) ?? expect.unreachable();
    expect(audioArguments(version, false).join(" ")).toBe(audio);
    expect(natNetworkListing(version).join(" ")).toBe(listing);
  });

  it("are usable from 6.1 on, but for the first ones of 7.2", () => {
    const usable = (text: string) => () => requireUsable("h", parseVersion(text) ?? expect.unreachable());
    for (const text of ["6.1.0r1", "7.0.0r1", "7.1.0r1", "7.2.4r1", "7.3.0r1", "8.0.0r1"]) usable(text)();
    for (const text of ["6.0.24r1", "5.2.44r1", "7.2.0r1", "7.2.3r1"])
      expect(usable(text), text).toThrow(/^h: /);
  });
});
