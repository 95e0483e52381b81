/** A guest's settings as arguments of `modifyvm`, and as `showvminfo` tells them. Pure. */
import type { PowerCycled } from "./contract";
import type { otherController } from "./media";
import type { VmInfo } from "./parse";
import { audioArguments } from "./version";
import type { Version } from "./version";

const onOff = (on: boolean): string => (on ? "on" : "off");

/** Names that 6.1 has; 7.0 and newer take them too, audio's excepted. */
export function settingArguments(version: Version, wanted: PowerCycled, network: string): string[] {
  const boot = wanted.boot.split(",");
  return [
    ...["--memory", String(wanted.memory), "--cpus", String(wanted.cpus)],
    ...["--ioapic", "on", "--rtcuseutc", "on", "--firmware", "bios"],
    ...[
      "--nic1",
      "natnetwork",
      "--nat-network1",
      network,
      "--nictype1",
      wanted.nicType,
      "--cableconnected1",
      "on",
    ],
    ...(wanted.mac === undefined ? [] : ["--macaddress1", wanted.mac]),
    ...["--usbohci", onOff(wanted.usb), "--usbehci", "off", "--usbxhci", "off"],
    ...audioArguments(version, wanted.audio),
    ...[1, 2, 3, 4].flatMap((at) => [`--boot${at}`, boot[at - 1] ?? "none"]),
  ];
}

/** What `settingsOf` tells; the disk controller is told of apart. */
type Settings = Omit<PowerCycled, keyof ReturnType<typeof otherController> | Asked>;

/** What is asked of the disks, and of VirtualBox. */
type Asked = "systemDisk" | "dataDisk" | "opticalDrives" | "osType";

/**
 * All that `settingArguments` sets, as it is, but for the network and its cable, which a running guest takes. What the
 * configuration leaves to VirtualBox is left out, and so is what a version does not tell.
 */
export function settingsOf(info: VmInfo, wanted: PowerCycled): Settings {
  const number = (key: string): number => Number(info.get(key) ?? "0");
  const boot = [1, 2, 3, 4].map((at) => info.get(`boot${at}`) ?? "none");
  while (boot.at(-1) === "none") boot.pop();
  const firmware = info.get("firmware") ?? "BIOS";
  return {
    memory: number("memory"),
    cpus: number("cpus"),
    nicType: info.get("nictype1") ?? "none",
    ...(wanted.mac === undefined ? {} : { mac: info.get("macaddress1") ?? "" }),
    usb: ["usb", "ehci", "xhci"].some((key) => info.get(key) === "on"),
    audio: (info.get("audio") ?? "none") !== "none",
    boot: boot.join(","),
    ...(info.get("ioapic") === "off" && { ioapic: false }),
    ...(info.get("rtcuseutc") === "off" && { rtcUtc: false }),
    ...(firmware.toLowerCase() !== "bios" && { firmware }),
  };
}

/** Whether the first card's cable is in. */
export function isConnected(info: VmInfo): boolean {
  return info.get("cableconnected1") !== "off";
}
