/** Part of the STAND-IN for VBoxManage: controllers, disks and drives. A VDI is a plain image here. */
import { randomUUID } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { parse } from "./arguments";
import { noMedium, refused, wrong } from "./failure";
import type { Guests } from "./guests";
import { changeable, isHeld } from "./machines";
import { machineNamed, type Home, type Machine, type Medium, type State } from "./state";

const MIB = 1024 ** 2;
const PROGRESS = "0%...10%...20%...30%...40%...50%...60%...70%...80%...90%...100%\n";

export async function storagectl(home: Home, guests: Guests, args: readonly string[]): Promise<string> {
  const { words, value } = parse(args, ["remove"]);
  const changed = await home.change((state) => {
    const machine = changeable(state, guests, words[0]);
    const name = value("name") ?? "";
    if (value("add") === undefined) {
      changeController(machine, name, value, args);
      return machine;
    }
    if (machine.controller) {
      throw refused(
        "VBOX_E_OBJECT_IN_USE",
        `Storage controller named '${name}' already exists`,
        "Machine",
        "AddStorageController(Bstr(pszCtl).raw(), StorageBus_SATA, ctl.asOutParam())",
      );
    }
    machine.controller = {
      name,
      type: value("controller") ?? "IntelAhci",
      ports: Number(value("portcount") ?? "30"),
    };
    return machine;
  });
  await guests.furnish(changed);
  return "";
}

/** Of a controller that is there only its ports change, and whether it is booted from; or it goes, and what was attached to it is attached to nothing. */
function changeController(
  machine: Machine,
  name: string,
  value: (option: string) => string | undefined,
  args: readonly string[],
): void {
  const known = controllerNamed(machine, name);
  if (args.includes("--remove")) {
    delete machine.controller;
    for (const slot of Object.keys(machine.slots)) delete machine.slots[slot];
    return;
  }
  const ports = Number(value("portcount") ?? known.ports);
  machine.controller = { ...known, ports, bootable: value("bootable") ?? known.bootable };
}

function controllerNamed(machine: Machine, name: string | undefined): NonNullable<Machine["controller"]> {
  if (machine.controller?.name === name && machine.controller) return machine.controller;
  throw refused(
    "VBOX_E_OBJECT_NOT_FOUND",
    `Could not find a storage controller named '${name}'`,
    "SessionMachine",
    "GetStorageControllerByName(Bstr(pszCtl).raw(), storageCtl.asOutParam())",
  );
}

export async function storageattach(home: Home, guests: Guests, args: readonly string[]): Promise<string> {
  const { words, value } = parse(args, ["forceunmount"]);
  const medium = value("medium") ?? "";
  const type = value("type");
  const machine = await home.change((state) => {
    const found = machineNamed(state, words[0]);
    const slot = `${value("port")}-${value("device")}`;
    controllerNamed(found, value("storagectl"));
    // Only what is in a drive may change while the machine runs.
    const isDrive = type === "dvddrive" && found.slots[slot]?.type === "dvddrive" && medium !== "none";
    if (!isDrive || isHeld(found)) changeable(state, guests, words[0]);
    if (medium === "none") delete found.slots[slot];
    else if (type !== "hdd" && type !== "dvddrive") throw wrong("Invalid --type argument");
    else found.slots[slot] = { type, medium: known(state, medium, type === "hdd" ? "disk" : "dvd") };
    return found;
  });
  await guests.furnish(machine);
  return "";
}

function known(state: State, file: string, kind: Medium["kind"]): string {
  if (file === "emptydrive") return file;
  if (!fs.existsSync(file)) throw noMedium(file);
  state.media[file] ??= { uuid: randomUUID(), kind, ...(kind === "disk" ? { size: sizeOf(file) } : {}) };
  return file;
}

const sizeOf = (file: string): number => Math.round(fs.statSync(file).size / MIB);

export async function createmedium(home: Home, args: readonly string[]): Promise<string> {
  const { value } = parse(args, []);
  const file = value("filename") ?? "";
  const size = Number(value("size"));
  return home.change((state) => {
    if (fs.existsSync(file)) {
      throw refused(
        "VBOX_E_FILE_ERROR",
        `Failed to create medium: The medium storage unit '${file}' already exists (VERR_ALREADY_EXISTS)`,
        "Medium",
        "RTEXITCODE handleCreateMedium(HandlerArg*)",
      );
    }
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, "");
    fs.truncateSync(file, size * MIB);
    const uuid = randomUUID();
    state.media[file] = { uuid, kind: "disk", size };
    return `${PROGRESS}Medium created. UUID: ${uuid}\n`;
  });
}

export async function modifymedium(home: Home, guests: Guests, args: readonly string[]): Promise<string> {
  const { words, value } = parse(args, []);
  const file = words[1] ?? "";
  const size = Number(value("resize"));
  return home.change((state) => {
    if (!fs.existsSync(file)) throw noMedium(file);
    if (userOf(state, guests, file)) {
      throw refused(
        "VBOX_E_INVALID_OBJECT_STATE",
        `Medium '${file}' is locked for writing by another task`,
        "Medium",
        "RTEXITCODE handleModifyMedium(HandlerArg*)",
      );
    }
    fs.truncateSync(file, size * MIB);
    known(state, file, "disk");
    const medium = state.media[file];
    if (medium) medium.size = size;
    return PROGRESS;
  });
}

/** The running machine that a disk is in. */
function userOf(state: State, guests: Guests, file: string): Machine | undefined {
  return state.machines.find(
    (one) => guests.isOn(one) && Object.values(one.slots).some(({ medium }) => medium === file),
  );
}

export async function showmediuminfo(home: Home, args: readonly string[]): Promise<string> {
  const file = args.at(-1) ?? "";
  return home.change((state) => {
    if (!fs.existsSync(file)) throw noMedium(file);
    known(state, file, args.includes("dvd") ? "dvd" : "disk");
    const { uuid, kind, size } = state.media[file] ?? { uuid: "", kind: "disk" as const };
    return [
      `UUID:           ${uuid}`,
      "Parent UUID:    base",
      "State:          created",
      `Type:           ${kind === "disk" ? "normal (base)" : "readonly"}`,
      `Location:       ${file}`,
      `Storage format: ${kind === "disk" ? "VDI" : "RAW"}`,
      "Format variant: dynamic default",
      `Capacity:       ${size ?? sizeOf(file)} MBytes`,
      "Size on disk:   2 MBytes",
      "Encryption:     disabled",
      "",
    ].join("\n");
  });
}

export async function closemedium(home: Home, args: readonly string[]): Promise<string> {
  const { words, value } = parse(args, ["delete"]);
  const file = words.at(-1) ?? "";
  return home.change((state) => {
    if (!state.media[file] && !fs.existsSync(file)) throw noMedium(file);
    const user = state.machines.find((one) => Object.values(one.slots).some(({ medium }) => medium === file));
    if (user) {
      throw refused(
        "VBOX_E_OBJECT_IN_USE",
        `Medium '${file}' cannot be closed because it is still attached to 1 virtual machines`,
        "Medium",
        "Close()",
      );
    }
    delete state.media[file];
    if (value("delete") === undefined) return "";
    fs.rmSync(file, { force: true });
    return PROGRESS;
  });
}
