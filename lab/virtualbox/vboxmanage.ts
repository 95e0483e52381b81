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
import { vboxManage } from "./command";
import { paperGuests } from "./guests";
import { labGuests } from "./labGuests";
import { Home } from "./state";

async function main(): Promise<void> {
  const { MOORAGE_VBOX_HOME: folder, MOORAGE_VBOX_LAB: lab } = process.env;
  if (!folder) throw new LabError("MOORAGE_VBOX_HOME names no folder");
  const guests = lab ? labGuests(Number(lab)) : paperGuests(folder);
  const { stdout, stderr, code } = await vboxManage(new Home(folder), guests, process.argv.slice(2));
  process.stdout.write(stdout);
  process.stderr.write(stderr);
  process.exitCode = code;
}

void main();
