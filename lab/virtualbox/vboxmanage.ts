/**
 * STAND-IN for VirtualBox's VBoxManage, for the lab and for tests. It keeps state in the folder that
 * MOORAGE_VBOX_HOME names, prints what the real one prints in the version that the file `version` there names
 * (7.1 without one), and fails with its words and exit codes. With MOORAGE_VBOX_LAB its machines are that lab's
 * hosts, which it powers on and off; without, only their state is kept.
 *
 * NOT MODELLED: every command and option that the program does not use, virtual hardware (memory and CPUs are
 * remembered, not given), snapshots, saved states, DHCP, the way out of a NAT network, VDI's format (a disk is a
 * plain sparse image), networks other than the lab's 10.0.2.0/24, and a guest that finds no medium to boot from (the
 * lab calls it failed and off; VirtualBox leaves it on with a message on its screen).
 */
import { LabError } from "../exec";
import { Failure, wrong } from "./failure";
import { paperGuests, type Guests } from "./guests";
import { labGuests } from "./labGuests";
import * as machines from "./machines";
import { listNatNetworks, natnetwork } from "./networks";
import { Home } from "./state";
import * as storage from "./storage";

function list(home: Home, what: string | undefined): string {
  const state = home.read();
  switch (what) {
    case "systemproperties":
      return `API version:                     7_1\nMinimum guest RAM size:          4 Megabytes\nDefault machine folder:          ${home.machineFolder}\nRAW-mode Supported:              no\n`;
    case "natnets":
    case "natnetworks":
      return listNatNetworks(home);
    case "vms":
      return state.machines.map(({ name, uuid }) => `"${name}" {${uuid}}\n`).join("");
    default:
      throw wrong(`Unknown subcommand '${what ?? ""}'`);
  }
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

async function main(): Promise<void> {
  const folder = process.env.MOORAGE_VBOX_HOME;
  if (!folder) throw new LabError("MOORAGE_VBOX_HOME names no folder");
  const lab = process.env.MOORAGE_VBOX_LAB;
  const home = new Home(folder);
  process.stdout.write(
    await run(home, lab ? labGuests(Number(lab)) : paperGuests(folder), process.argv.slice(2)),
  );
}

main().catch((error: unknown) => {
  const failure = error instanceof Failure ? error : undefined;
  const told = error instanceof Error ? error.message : String(error);
  console.error(failure ? failure.message : `VBoxManage: error: stand-in: ${told}`);
  process.exitCode = failure?.code ?? 1;
});
