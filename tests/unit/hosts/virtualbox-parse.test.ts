import { describe, expect, it } from "vitest";
import {
  parseCapacity,
  parseExtraData,
  parseLine,
  parseNatNetworks,
  parseOsTypes,
  parseVmInfo,
} from "../../../hosts/src/virtualbox/parse";
import { mediumIn, otherController, ports } from "../../../hosts/src/virtualbox/media";
import { isConnected, settingsOf } from "../../../hosts/src/virtualbox/settings";
import { isAtLeast, parseVersion, requireUsable } from "../../../hosts/src/virtualbox/version";
import {
  info60,
  info61,
  info70,
  info72,
  medium,
  networks61,
  networks70,
  networks72,
  osTypes,
  properties72,
  rest52,
} from "./support/virtualbox-said";

const wanted = {
  memory: 1,
  cpus: 1,
  nicType: "",
  mac: "",
  usb: false,
  audio: false,
  boot: "",
  systemDisk: 1,
};

describe("showvminfo --machinereadable", () => {
  it("is read with escapes and without, with either end of line", () => {
    const info = parseVmInfo(info60);
    expect(info.get("UUID")).toBe("7163bae0-5075-49fc-b3a7-b2831c06aa40");
    expect(info.get("CfgFile")).toBe(String.raw`F:\VirtualBox VMs\gitlab\gitlab.vbox`);
    expect(info.get("memory")).toBe("1024");
    expect(info.get("VMState")).toBe("running");
    const rest = parseVmInfo(rest52);
    expect(rest.get("videocapfile")).toMatch(/^C:\\Users\\Riggs\\VirtualBox VMs\\.*\.webm$/);
    expect(rest.get("GuestMemoryBalloon")).toBe("0");
  });

  it("is read though some of its lines have another form", () => {
    const info = parseVmInfo(info70);
    expect(info.get("groups")).toBe("/");
    expect(info.get("BIOS NVRAM File")).toMatch(/clean\.nvram$/);
    expect(info.get("rec_screen_enabled")).toBe("on");
    expect(info.get("description")).toBe("name1=value1\nname2=value2");
    expect(info.has("name2")).toBe(false);
    expect(info.get("GuestMemoryBalloon")).toBe("0");
    expect(parseVmInfo(info61).get("captureres")).toBe("1024x768");
  });

  it("is not deceived by what stands inside a text of several lines", () => {
    // Such a description is of our own making; quotes are escaped as paths are above.
    const own = 'description="Imported\nVMState=\\"running\\"\nname=web2\nthe end"\nlast=1\n';
    const info = parseVmInfo(`${info70}${own}`);
    expect(info.get("name")).toBe("manjaro-gnome-x64-full-clean");
    expect(info.get("VMState")).toBe("poweroff");
    expect(info.get("description")).toBe('Imported\nVMState="running"\nname=web2\nthe end');
    expect(info.get("last")).toBe("1");
  });

  it("tells what is in each port, and of which NAT network a card is", () => {
    const info = parseVmInfo(info70);
    expect(info.get("IDE-1-0")).toBe("emptydrive");
    expect(info.get("IDE-1-1")).toBe("none");
    expect(mediumIn(info, ports.system)).toMatch(/clean-disk001\.vdi$/);
    expect(mediumIn(info, ports.data)).toBeUndefined();
    const seven = parseVmInfo(info72);
    expect([seven.get("nic1"), seven.get("nat-network1")]).toEqual(["natnetwork", "AD-LAB-NET"]);
  });

  const settings: [string, string, object][] = [
    [
      "6.0",
      info60 + rest52,
      { memory: 1024, cpus: 1, nicType: "82540EM", usb: false, audio: true, boot: "floppy,dvd,disk" },
    ],
    [
      "6.1",
      info61,
      { memory: 4000, cpus: 2, nicType: "virtio", usb: false, audio: true, boot: "dvd,dvd,disk" },
    ],
    ["7.0", info70, { memory: 4096, cpus: 4, nicType: "82540EM", usb: true, audio: true, boot: "dvd,disk" }],
  ];
  it.each(settings)("of %s gives each setting that a guest has", (_version, text, expected) => {
    const info = parseVmInfo(text);
    expect(settingsOf(info, { ...wanted, mac: undefined })).toEqual(expected);
    expect(settingsOf(info, wanted).mac).toBe(info.get("macaddress1"));
    expect(isConnected(info)).toBe(true);
  });

  it("gives what a guest has otherwise than ours, and of what a version does not tell, nothing", () => {
    const other = info61
      .replace('ioapic="on"', 'ioapic="off"')
      .replace('rtcuseutc="on"', 'rtcuseutc="off"')
      .replace('firmware="BIOS"', 'firmware="EFI64"')
      .replace('cableconnected1="on"', 'cableconnected1="off"');
    expect(settingsOf(parseVmInfo(other), wanted)).toMatchObject({
      ioapic: false,
      rtcUtc: false,
      firmware: "EFI64",
    });
    expect(isConnected(parseVmInfo(other))).toBe(false);
    const little = settingsOf(parseVmInfo(info72), wanted);
    for (const key of ["ioapic", "rtcUtc", "firmware"]) expect(little).not.toHaveProperty(key);
    expect(isConnected(parseVmInfo(info72))).toBe(true);
  });
});

describe("what every guest of ours has alike of its disk controller", () => {
  it("is told where a guest has it otherwise, by its own name among others", () => {
    expect(otherController(parseVmInfo(info70))).toEqual({ controllerPorts: 1 });
    const four = info70.replace('portcount1="1"', 'portcount1="4"');
    expect(otherController(parseVmInfo(four))).toEqual({});
    const other = four.replace('type1="IntelAhci"', 'type1="LsiLogic"');
    expect(otherController(parseVmInfo(other))).toEqual({ controllerType: "LsiLogic" });
    // Another name, and a listing that was cut short.
    for (const text of [info61, info72]) expect(otherController(parseVmInfo(text))).toEqual({});
  });
});

describe("types of guests", () => {
  it("are known by their ids, in VirtualBox's words", () => {
    for (const text of [osTypes, osTypes.replaceAll("\n", "\r\n")])
      expect([...parseOsTypes(text)]).toEqual([
        ["Other", "Other/Unknown"],
        ["Other_64", "Other/Unknown (64-bit)"],
      ]);
  });
});

describe("NAT networks", () => {
  it("are read from the listing of 6.1", () => {
    // With a forward and another network, in the form that the interface's own documentation gives for a rule
    // (https://www.virtualbox.org/sdkref/interface_i_n_a_t_network.html), indented as 7.2.4 has it.
    const forward = "Port-forwarding (ipv4)\n        Rule 1:tcp:[]:2222:[10.0.2.7]:22\n";
    const off = networks61.replace("NatNetwork", "NATNetwork101").replaceAll("Yes", "No     ");
    const output = networks61.replace("loopback", `${forward}loopback`) + off;
    expect(parseNatNetworks(output)).toEqual([
      {
        name: "NatNetwork",
        subnet: "10.0.2.0/24",
        enabled: true,
        dhcp: true,
        forwards: { "Rule 1": { listen: "0.0.0.0", port: 2222, address: "10.0.2.7", targetPort: 22 } },
      },
      { name: "NATNetwork101", subnet: "10.0.2.0/24", enabled: false, dhcp: false, forwards: {} },
    ]);
  });

  it("are read from the listing of 7.0 and newer, wherever it says that one is enabled", () => {
    const [older] = parseNatNetworks(networks70);
    expect(older).toEqual({
      name: "NatNetwork",
      subnet: "10.0.2.0/24",
      enabled: true,
      dhcp: true,
      forwards: {},
    });
    expect(parseNatNetworks(networks70.replace(/Enabled: +Yes/, "Enabled:      No"))[0]?.enabled).toBe(false);
    expect(parseNatNetworks(networks72)).toEqual([
      {
        name: "aos-network-aos-test-s1",
        subnet: "10.0.0.0/24",
        enabled: true,
        dhcp: true,
        forwards: { mainssh: { listen: "0.0.0.0", port: 8737, address: "10.0.0.100", targetPort: 22 } },
      },
    ]);
    const ours = "ssh-coreos1:tcp:[127.0.0.1]:2011:[10.0.0.11]:22";
    const two = networks72.replace("loopback", `        ${ours}\nloopback`);
    expect(parseNatNetworks(two)[0]?.forwards["ssh-coreos1"]).toEqual({
      listen: "127.0.0.1",
      port: 2011,
      address: "10.0.0.11",
      targetPort: 22,
    });
    expect(parseNatNetworks("NAT Networks:\n\n0 networks found\n")).toEqual([]);
  });
});

describe("other listings", () => {
  it("give a medium's size, the machine folder and extra data", () => {
    expect(parseCapacity(medium)).toBe(2048);
    expect(parseCapacity("Capacity: a lot")).toBeUndefined();
    expect(parseLine(properties72, "Default machine folder")).toBe(
      String.raw`D:\Labs\AD-Lab\VirtualMachines`,
    );
    expect(parseExtraData("Value: organization/moorage/dev\r\n")).toBe("organization/moorage/dev");
    expect(parseExtraData("No value set!\n")).toBeUndefined();
  });
});

describe("versions", () => {
  // Oracle's packages, Ubuntu's and Debian's; the warning is that of a machine without the kernel module. 7.2.18 and
  // 6.1.50 as https://github.com/fabrint96-ship-it/AD-Lab has them (evidence/B1/HOST/HOST-B1-VirtualBox-Baseline.md).
  const known: [string, number[]][] = [
    ["7.2.18r175117\r\n", [7, 2, 18]],
    ["6.1.50r161033\n", [6, 1, 50]],
    ["6.1.50_Ubuntur161033\n", [6, 1, 50]],
    ["7.0.16_Debianr162802\n", [7, 0, 16]],
    [
      "WARNING: The character device /dev/vboxdrv does not exist.\n\t Please install the virtualbox-dkms package\n7.1.4r165100\n",
      [7, 1, 4],
    ],
  ];
  it.each(known)("%j is read", (text, [major, minor, patch]) => {
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

  it("are usable from 6.1 on, but for the first ones of 7.2", () => {
    const usable = (text: string) => () => requireUsable("h", parseVersion(text) ?? expect.unreachable());
    for (const text of ["6.1.0r1", "7.0.0r1", "7.1.0r1", "7.2.4r1", "7.3.0r1", "8.0.0r1"]) usable(text)();
    for (const text of ["6.0.24r1", "5.2.44r1", "7.2.0r1", "7.2.3r1"])
      expect(usable(text), text).toThrow(/^h: /);
  });
});
