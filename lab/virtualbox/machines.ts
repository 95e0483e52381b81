/** Part of the STAND-IN for VBoxManage: machines and their power. */
import { randomUUID } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { startTime, type Recorded } from "../exec";
import { parse } from "./arguments";
import { notMutable, notRunning, refused, startLocked, wrong, writeLocked } from "./failure";
import type { Guests } from "./guests";
import { machineNamed, type Home, type Machine, type State } from "./state";

const PROGRESS = "0%...10%...20%...30%...40%...50%...60%...70%...80%...90%...100%\n";

/** What VirtualBox gives a new machine. */
const DEFAULTS: Readonly<Record<string, string>> = {
  memory: "128",
  cpus: "1",
  firmware: "BIOS",
  boot1: "floppy",
  boot2: "dvd",
  boot3: "disk",
  boot4: "none",
  ioapic: "off",
  rtcuseutc: "off",
  nic1: "nat",
  nictype1: "82540EM",
  cableconnected1: "on",
  audio: "default",
  usb: "on",
  ehci: "off",
  xhci: "off",
};

/** Options of `modifyvm` that this stand-in knows, and the key of `showvminfo` that each sets. */
const SETTINGS: Readonly<Record<string, string>> = {
  "--memory": "memory",
  "--cpus": "cpus",
  "--ioapic": "ioapic",
  "--rtcuseutc": "rtcuseutc",
  "--firmware": "firmware",
  "--nic": "nic",
  "--nat-network": "nat-network",
  "--nictype": "nictype",
  "--cableconnected": "cableconnected",
  "--macaddress": "macaddress",
  "--usbohci": "usb",
  "--usbehci": "ehci",
  "--usbxhci": "xhci",
  "--boot": "boot",
  "--name": "name",
  "--ostype": "ostype",
};
const AUDIO = { old: "--audio", since7: "--audio-enabled" };

export async function createvm(home: Home, args: readonly string[]): Promise<string> {
  const { value } = parse(args, ["register"]);
  const name = value("name");
  if (!name) throw wrong("Parameter --name is required");
  return home.change((state) => {
    const folder = path.join(value("basefolder") ?? home.machineFolder, name);
    const file = path.join(folder, `${name}.vbox`);
    if (fs.existsSync(file)) {
      throw refused(
        "VBOX_E_FILE_ERROR",
        `Machine settings file '${file}' already exists`,
        "Machine",
        "CreateMachine(bstrSettingsFile.raw(), bstrName.raw(), ComSafeArrayAsInParam(groups), bstrOsTypeId.raw(), createFlags.raw(), machine.asOutParam())",
      );
    }
    fs.mkdirSync(folder, { recursive: true });
    fs.writeFileSync(file, "<!-- stand-in: what VirtualBox would keep here is in its state.json -->\n");
    const uuid = randomUUID();
    const mac = randomUUID().replaceAll("-", "").slice(0, 6).toUpperCase();
    const ostype = value("ostype") ?? "Other";
    const settings = { ...DEFAULTS, ostype, macaddress1: `080027${mac}` };
    state.machines.push({ name, uuid, folder, settings, extra: {}, slots: {}, running: false });
    return `Virtual machine '${name}' is created and registered.\nUUID: ${uuid}\nSettings file: '${file}'\n`;
  });
}

export async function modifyvm(home: Home, guests: Guests, args: readonly string[]): Promise<string> {
  const known = new Set([...Object.keys(SETTINGS), home.major >= 7 ? AUDIO.since7 : AUDIO.old]);
  const { words, options } = parse(args, [], known);
  return home.change((state) => {
    const machine = changeable(state, guests, words[0]);
    for (const [option, value] of options) set(machine, option, value);
    return "";
  });
}

function set(machine: Machine, option: string, value: string): void {
  if (option === "audio") machine.settings.audio = value;
  else if (option === "audioenabled") machine.settings.audio = value === "on" ? "default" : "none";
  else {
    const index = /[1-8]$/.exec(option)?.[0] ?? "";
    const [, key = ""] =
      Object.entries(SETTINGS).find(([name]) => name.replaceAll("-", "") === option.replace(/[1-8]$/, "")) ??
      [];
    if (key === "memory" && !/^\d+$/.test(value))
      throw wrong(`Invalid value '${value}' for option '--memory'`);
    if (key === "name") throw wrong("the stand-in renames no machine");
    machine.settings[`${key}${index}`] = key === "firmware" ? value.toUpperCase() : value;
  }
}

/** A machine that is off and that nobody holds. */
export function changeable(state: State, guests: Guests, name: string | undefined): Machine {
  const machine = machineNamed(state, name);
  if (isHeld(machine) || guests.isOn(machine)) throw writeLocked(machine.name);
  if (machine.saved) throw notMutable(machine.saved === "saved" ? "Saved" : "Aborted-Saved");
  return machine;
}

export const isHeld = ({ session }: Machine): boolean =>
  session !== undefined && startTime(session.pid) === session.start;

export async function startvm(home: Home, guests: Guests, args: readonly string[]): Promise<string> {
  const { words } = parse(args, []);
  const name = words[0];
  const machine = await home.change((state) => {
    const found = machineNamed(state, name);
    if (isHeld(found) || guests.isOn(found)) throw startLocked(found.name);
    delete found.saved;
    found.session = myself();
    return found;
  });
  try {
    await guests.on(machine);
  } finally {
    await home.change((state) => {
      const found = machineNamed(state, name);
      delete found.session;
      found.running = guests.isOn(found);
    });
  }
  return `Waiting for VM "${machine.name}" to power on...\nVM "${machine.name}" has been successfully started.\n`;
}

function myself(): Recorded {
  return { pid: process.pid, start: startTime(process.pid) ?? "" };
}

export async function controlvm(home: Home, guests: Guests, args: readonly string[]): Promise<string> {
  const [name, verb, ...rest] = args;
  const machine = machineNamed(home.read(), name);
  if (!guests.isOn(machine)) throw notRunning(machine.name);
  switch (verb) {
    case "poweroff":
      await guests.off(machine);
      return PROGRESS;
    case "acpipowerbutton":
      await guests.button(machine);
      return "";
    case "savestate":
      await guests.off(machine);
      await home.change((state) => {
        machineNamed(state, name).saved = "saved";
      });
      return PROGRESS;
    case "nic1":
      await home.change((state) => {
        const found = machineNamed(state, name);
        found.settings.nic1 = rest[0] ?? "";
        found.settings["nat-network1"] = rest[1] ?? "";
      });
      return "";
    case "setlinkstate1":
      await home.change((state) => {
        machineNamed(state, name).settings.cableconnected1 = rest[0] ?? "";
      });
      return "";
    default:
      throw wrong(`Invalid parameter '${verb ?? ""}'`);
  }
}

export async function discardstate(home: Home, args: readonly string[]): Promise<string> {
  await home.change((state) => {
    delete machineNamed(state, args[0]).saved;
  });
  return "";
}

export async function unregistervm(home: Home, guests: Guests, args: readonly string[]): Promise<string> {
  const { words } = parse(args, ["delete"]);
  return home.change(async (state) => {
    const machine = changeable(state, guests, words[0]);
    if (args.includes("--delete")) {
      await guests.discard(machine);
      for (const { type, medium } of Object.values(machine.slots)) {
        if (type !== "hdd") continue;
        fs.rmSync(medium, { force: true });
        delete state.media[medium];
      }
      fs.rmSync(machine.folder, { recursive: true, force: true });
    }
    state.machines.splice(state.machines.indexOf(machine), 1);
    return PROGRESS;
  });
}

export async function setextradata(home: Home, args: readonly string[]): Promise<string> {
  const [name, key = "", value] = args;
  await home.change((state) => {
    const extra = name === "global" ? state.extra : machineNamed(state, name).extra;
    if (value === undefined || value === "") delete extra[key];
    else extra[key] = value;
  });
  return "";
}

export function getextradata(home: Home, args: readonly string[]): string {
  const [name, key = ""] = args;
  const state = home.read();
  const value = (name === "global" ? state.extra : machineNamed(state, name).extra)[key];
  return value === undefined ? "No value set!\n" : `Value: ${value}\n`;
}

/** The machine as `showvminfo --machinereadable` tells of it, in the order of the real one. */
export function showvminfo(home: Home, guests: Guests, args: readonly string[]): string {
  const { words } = parse(args, ["machinereadable"]);
  const machine = machineNamed(home.read(), words[0]);
  if (!args.includes("--machinereadable"))
    throw wrong("the stand-in shows machines with --machinereadable only");
  const { settings } = machine;
  const text = (key: string, value = settings[key] ?? ""): string => `${key}="${escaped(value)}"`;
  const lines = [
    text("name", machine.name),
    ...encryption(home),
    'groups="/"',
    ...(home.isSince(7, 1) ? ['platformArchitecture="x86"'] : []),
    text("ostype", osTypes(home)[settings.ostype ?? "Linux26_64"] ?? ""),
    text("UUID", machine.uuid),
    text("CfgFile", path.join(machine.folder, `${machine.name}.vbox`)),
    `memory=${settings.memory ?? ""}`,
    text("firmware"),
    `cpus=${settings.cpus ?? ""}`,
    ...[1, 2, 3, 4].map((at) => text(`boot${at}`)),
    text("ioapic"),
    text("rtcuseutc"),
    text("VMState", guests.isOn(machine) ? "running" : (machine.saved ?? "poweroff")),
    ...storageLines(home, machine),
    ...(settings.nic1 === "natnetwork" ? [text("nat-network1")] : []),
    ...(settings.nic1 === "none" ? [] : [text("macaddress1"), text("cableconnected1")]),
    text("nic1"),
    ...(settings.nic1 === "none" ? [] : [text("nictype1"), 'nicspeed1="0"']),
    ...[2, 3, 4, 5, 6, 7, 8].map((at) => `nic${at}="none"`),
    text("audio"),
    'audio_in="off"',
    ...["usb", "ehci", "xhci"].map((key) => text(key)),
  ];
  return `${lines.join("\n")}\n`;
}

/** A few of the types that there are, in words; those of 64-bit Linux are another version's. */
function osTypes(home: Home): Readonly<Record<string, string>> {
  const kernels = home.isSince(7, 0) ? "2.6 / 3.x / 4.x / 5.x" : "2.6 / 3.x / 4.x";
  return {
    Other: "Other/Unknown",
    Linux26: `Linux ${kernels} (32-bit)`,
    Linux26_64: `Linux ${kernels} (64-bit)`,
  };
}

export function listOsTypes(home: Home): string {
  const types = Object.entries(osTypes(home)).map(([id, description]) => {
    const [family, bits] = [id === "Other" ? "Other" : "Linux", id.endsWith("_64")];
    return `ID:          ${id}\nDescription: ${description}\nFamily ID:   ${family}\nFamily Desc: ${family}\n64 bit:      ${bits}\n`;
  });
  return `${types.join("\n")}\n`;
}

/** 7.0 prints it in the form of the listing for people. */
function encryption(home: Home): string[] {
  if (home.isSince(7, 1)) return ['encryption="disabled"'];
  return home.isSince(7, 0) ? ["Encryption:     disabled"] : [];
}

function storageLines(home: Home, { controller, slots }: Machine): string[] {
  if (!controller) return [];
  const { name, type, ports } = controller;
  const lines = [
    `storagecontrollername0="${name}"`,
    `storagecontrollertype0="${type}"`,
    'storagecontrollerinstance0="0"',
    'storagecontrollermaxportcount0="30"',
    `storagecontrollerportcount0="${ports}"`,
    `storagecontrollerbootable0="${controller.bootable ?? "on"}"`,
  ];
  for (let port = 0; port < ports; port += 1) {
    const slot = slots[`${port}-0`];
    lines.push(`"${name}-${port}-0"="${escaped(slot?.medium ?? "none")}"`);
    // Before 7.0 nothing said of which drive that is.
    const drive = home.isSince(7, 0) ? `-${port}-0` : "";
    if (slot?.type === "dvddrive") lines.push(`"${name}-IsEjected${drive}"="off"`);
  }
  return lines;
}

const escaped = (value: string): string => value.replace(/(["\\])/g, "\\$1");
