/**
 * STAND-IN for VirtualBox's VBoxManage, for the lab and for tests. It keeps state in a folder of its own,
 * prints what the real one prints in the version that the file `version` there names (7.1 without one), and fails
 * with its words and exit codes. In the lab its machines are the lab's hosts, which it powers on and off (labGuests.ts);
 * in tests only their state is kept (guests.ts). Programs call it as service.ts has it.
 *
 * NOT MODELLED: every command and option that the program does not use, virtual hardware (memory and CPUs are
 * remembered, not given), snapshots, what a saved state holds, DHCP, the way out of a NAT network, VDI's format (a disk is a
 * plain sparse image), networks other than the lab's 10.0.2.0/24, and a guest that finds no medium to boot from (the
 * lab calls it failed and off; VirtualBox leaves it on with a message on its screen).
 */
import { Failure, wrong } from "./failure";
import type { Guests } from "./guests";
import * as machines from "./machines";
import { listNatNetworks, natnetwork, warningOf } from "./networks";
import type { Home } from "./state";
import * as storage from "./storage";

/** What a call prints, and its exit code. */
export interface Answer {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
}

export async function vboxManage(home: Home, guests: Guests, args: readonly string[]): Promise<Answer> {
  try {
    const stdout = await run(home, guests, args);
    return { stdout, stderr: args[0] === "natnetwork" ? warningOf(home, args.slice(1)) : "", code: 0 };
  } catch (error) {
    if (error instanceof Failure) return { stdout: "", stderr: `${error.message}\n`, code: error.code };
    const told = error instanceof Error ? error.message : String(error);
    return { stdout: "", stderr: `VBoxManage: error: stand-in: ${told}\n`, code: 1 };
  }
}

function list(home: Home, what: string | undefined): string {
  const state = home.read();
  switch (what) {
    case "systemproperties":
      return systemProperties(home);
    case "natnets":
    case "natnetworks":
      return listNatNetworks(home);
    case "ostypes":
      return machines.listOsTypes(home);
    case "vms":
      return state.machines.map(({ name, uuid }) => `"${name}" {${uuid}}\n`).join("");
    default:
      throw wrong(`Unknown subcommand '${what ?? ""}'`);
  }
}

function systemProperties({ version, machineFolder }: Home): string {
  return [
    `API version:                     ${version.split(".").slice(0, 2).join("_")}`,
    "Minimum guest RAM size:          4 Megabytes",
    `Default machine folder:          ${machineFolder}`,
    "Raw-mode Supported:              no",
    "",
  ].join("\n");
}

async function run(home: Home, guests: Guests, args: readonly string[]): Promise<string> {
  const [command, ...rest] = args;
  switch (command) {
    case "--version":
      return `${home.version}\n`;
    case "list":
      return list(home, rest.at(-1));
    case "natnetwork":
      return natnetwork(home, guests, rest);
    case "createvm":
      return machines.createvm(home, rest);
    case "modifyvm":
      return machines.modifyvm(home, guests, rest);
    case "showvminfo":
      return machines.showvminfo(home, guests, rest);
    case "startvm":
      return machines.startvm(home, guests, rest);
    case "controlvm":
      return machines.controlvm(home, guests, rest);
    case "discardstate":
      return machines.discardstate(home, rest);
    case "unregistervm":
      return machines.unregistervm(home, guests, rest);
    case "setextradata":
      return machines.setextradata(home, rest);
    case "getextradata":
      return machines.getextradata(home, rest);
    case "storagectl":
      return storage.storagectl(home, guests, rest);
    case "storageattach":
      return storage.storageattach(home, guests, rest);
    case "createmedium":
      return storage.createmedium(home, rest.slice(1));
    case "modifymedium":
      return storage.modifymedium(home, guests, rest);
    case "showmediuminfo":
      return storage.showmediuminfo(home, rest);
    case "closemedium":
      return storage.closemedium(home, rest);
    default:
      throw wrong(`Invalid command '${command ?? ""}'`);
  }
}
