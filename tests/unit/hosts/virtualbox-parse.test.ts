import { describe, expect, it } from "vitest";
import {
  parseCapacity,
  parseExtraData,
  parseLine,
  parseNatNetworks,
  parseVmInfo,
} from "../../../hosts/src/virtualbox/parse";
import { settingsOf } from "../../../hosts/src/virtualbox/settings";
import { isAtLeast, parseVersion, requireUsable } from "../../../hosts/src/virtualbox/version";

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
  // 6.0 on Windows, from issue 11174 of hashicorp/vagrant (2019).
  const windows = String.raw`name="gitlab"
groups="/"
ostype="Red Hat (64-bit)"
UUID="7163bae0-5075-49fc-b3a7-b2831c06aa40"
CfgFile="F:\\VirtualBox VMs\\gitlab\\gitlab.vbox"
memory=1024
vram=16
firmware="BIOS"
cpus=1
boot1="floppy"
boot2="dvd"
boot3="disk"
boot4="none"
rtcuseutc="on"
VMState="running"
VMStateChangeTime="2019-11-04T16:38:48.476000000"
`.replaceAll("\n", "\r\n");
  // The rest of a listing of 5.2 on Windows, from issue 10530 of hashicorp/vagrant (2018).
  const rest = String.raw`"SATA Controller-ImageUUID-0-0"="7129e36f-e4b3-45fd-ab13-ede0da0cfaf3"
natnet1="nat"
macaddress1="080027A1F40A"
cableconnected1="on"
nic1="nat"
nictype1="82540EM"
nicspeed1="0"
Forwarding(0)="ssh,tcp,127.0.0.1,2222,,22"
nic3="none"
audio="dsound"
audio_in="true"
VideoMode="800,600,0"@0,0 2
usb="off"
ehci="off"
xhci="off"
SharedFolderPathMachineMapping1="\\?\C:\cygwin64\home\Riggs\ubuntu"
videocapfile="C:\Users\Riggs\VirtualBox VMs\ubuntu_default\ubuntu_default.webm"
GuestMemoryBalloon=0
`;
  // Of 7.x: keys with port and device, and `nat-network1`, from the test data of VirtualBox's users (2026).
  const seven = String.raw`name="coreos1"
encryption="disabled"
platformArchitecture="x86"
memory=3072
cpus=2
boot1="disk"
boot2="dvd"
boot3="none"
boot4="none"
VMState="poweroff"
storagecontrollername0="SATA"
storagecontrollertype0="IntelAhci"
storagecontrollerportcount0="4"
"SATA-0-0"="C:\\Users\\dev\\VirtualBox VMs\\lab\\lab.vdi"
"SATA-ImageUUID-0-0"="09dd50f1-6f1f-4b2e-ab11-86b57ee9fe1e"
"SATA-1-0"="emptydrive"
"SATA-IsEjected-1-0"="off"
"SATA-3-0"="none"
nat-network1="AD-LAB-NET"
macaddress1="080027D0F71C"
nic1="natnetwork"
nictype1="virtio"
audio="none"
audio_in="off"
usb="off"
ehci="off"
xhci="on"
`;

  it("is read with escapes and without, with either end of line", () => {
    const info = parseVmInfo(windows);
    expect(info.get("UUID")).toBe("7163bae0-5075-49fc-b3a7-b2831c06aa40");
    expect(info.get("CfgFile")).toBe(String.raw`F:\VirtualBox VMs\gitlab\gitlab.vbox`);
    expect(info.get("memory")).toBe("1024");
    expect(info.get("VMState")).toBe("running");
    expect(parseVmInfo(rest).get("videocapfile")).toBe(
      String.raw`C:\Users\Riggs\VirtualBox VMs\ubuntu_default\ubuntu_default.webm`,
    );
    expect(parseVmInfo(rest).get("GuestMemoryBalloon")).toBe("0");
    expect(parseVmInfo(seven).get("SATA-0-0")).toBe(String.raw`C:\Users\dev\VirtualBox VMs\lab\lab.vdi`);
  });

  it("is not deceived by what stands inside a text of several lines", () => {
    // A description as 7.1 escapes it; the case is from a public test of such a parser.
    const text = `${seven}description="Imported\nVMState=\\"running\\"\nname=web2\nthe end"\nGuestMemoryBalloon=0\n`;
    const info = parseVmInfo(text);
    expect(info.get("name")).toBe("coreos1");
    expect(info.get("VMState")).toBe("poweroff");
    expect(info.get("description")).toBe('Imported\nVMState="running"\nname=web2\nthe end');
    expect(info.get("GuestMemoryBalloon")).toBe("0");
  });

  it("gives each setting that a guest has", () => {
    expect(settingsOf(parseVmInfo(seven), wanted)).toEqual({
      memory: 3072,
      cpus: 2,
      nicType: "virtio",
      mac: "080027D0F71C",
      usb: true,
      audio: false,
      boot: "disk,dvd",
    });
    expect(settingsOf(parseVmInfo(windows + rest), { ...wanted, mac: undefined })).toEqual({
      memory: 1024,
      cpus: 1,
      nicType: "82540EM",
      usb: false,
      audio: true,
      boot: "floppy,dvd,disk",
    });
  });
});

describe("NAT networks", () => {
  it("are read from the listing of 6.1", () => {
    // `VBoxManage list natnets`, from public notes of a user; the second block from a wiki's test data.
    const output = `NetworkName:    NatNetwork
IP:             10.0.2.1
Network:        10.0.2.0/24
IPv6 Enabled:   No
IPv6 Prefix:    
DHCP Enabled:   Yes
Enabled:        Yes
Port-forwarding (ipv4)
        Rule 1:tcp:[]:2222:[10.0.2.7]:22
loopback mappings (ipv4)
        127.0.0.1=2

NetworkName:    NATNetwork101
IP:             192.168.10.1 
Network:        192.168.10.0/24
IPv6 Enabled:   No
IPv6 Prefix:    fd17:625c:f037:2::/64
DHCP Enabled:   No     
Enabled:        No     
loopback mappings (ipv4)
        127.0.0.1=2     

`;
    expect(parseNatNetworks(output)).toEqual([
      {
        name: "NatNetwork",
        subnet: "10.0.2.0/24",
        enabled: true,
        dhcp: true,
        forwards: { "Rule 1": { listen: "0.0.0.0", port: 2222, address: "10.0.2.7", targetPort: 22 } },
      },
      { name: "NATNetwork101", subnet: "192.168.10.0/24", enabled: false, dhcp: false, forwards: {} },
    ]);
  });

  it("are read from the listing of 7.0 and newer", () => {
    // Lines and their order as VBoxManageNATNetwork.cpp of VirtualBox 7.1 prints them; values of a public lab's notes.
    const output = `NAT Networks:

Name:         AD-LAB-NET
Enabled:      Yes
Network:      10.10.10.0/24
Gateway:      10.10.10.1
DHCP Server:  No
IPv6:         No
IPv6 Prefix:  fd17:625c:f037:a8c::/64
IPv6 Default: No
Port-forwarding (ipv4)
        registry:tcp:[127.0.0.1]:8443:[10.10.10.10]:443
        ssh-coreos1:tcp:[127.0.0.1]:2011:[10.10.10.11]:22
loopback mappings (ipv4)
        127.0.0.1=2

1 network found
`;
    expect(parseNatNetworks(output)).toEqual([
      {
        name: "AD-LAB-NET",
        subnet: "10.10.10.0/24",
        enabled: true,
        dhcp: false,
        forwards: {
          registry: { listen: "127.0.0.1", port: 8443, address: "10.10.10.10", targetPort: 443 },
          "ssh-coreos1": { listen: "127.0.0.1", port: 2011, address: "10.10.10.11", targetPort: 22 },
        },
      },
    ]);
    expect(parseNatNetworks("NAT Networks:\n\n0 networks found\n")).toEqual([]);
  });
});

describe("other listings", () => {
  it("give a medium's size, the machine folder and extra data", () => {
    // `showmediuminfo`, from a public test of such a parser.
    const medium = `UUID:           6f3c1e2a-1111-2222-3333-444455556666
Parent UUID:    base
State:          created
Type:           normal (base)
Location:       C:\\lab\\lab.vdi
Storage format: VDI
Capacity:       51200 MBytes
Size on disk:   12040 MBytes`;
    expect(parseCapacity(medium)).toBe(51200);
    expect(parseCapacity("Capacity: a lot")).toBeUndefined();
    const properties =
      "API version:                     7_1\nDefault machine folder:          /home/you/VirtualBox VMs\n";
    expect(parseLine(properties, "Default machine folder")).toBe("/home/you/VirtualBox VMs");
    expect(parseExtraData("Value: organization/moorage/dev\r\n")).toBe("organization/moorage/dev");
    expect(parseExtraData("No value set!\n")).toBeUndefined();
  });
});

describe("versions", () => {
  // Oracle's packages, Ubuntu's and Debian's; the warning is that of a machine without the kernel module.
  const known: [string, number[]][] = [
    ["7.2.14r174565\r\n", [7, 2, 14]],
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
