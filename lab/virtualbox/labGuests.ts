/** Part of the STAND-IN for VBoxManage: its machines are the lab's hosts of the same name. */
import * as fs from "node:fs";
import * as path from "node:path";
import { disksOf, loopOf } from "../disks";
import { must, run, writeAtomic } from "../exec";
import { consoleRun, isOn, switchOff, switchOn } from "../hosts";
import { describeInstance, exclusively, type Host, type Instance } from "../instance";
import { writeInstallerLayer } from "../layers";
import { ensureForward, ensureNetwork, forwardedPorts, forwards, removeForward } from "../network";
import { baseRoot } from "../roots";
import { readConfigDrive } from "./configDrive";
import { refused } from "./failure";
import type { Guests } from "./guests";
import type { Machine, Network } from "./state";

const SUBNET = "10.0.2.0/24";

export function labGuests(lab: number): Guests {
  const instance = describeInstance(lab);
  // The lab's own lock: its commands and the hypervisor's do not work on one host at once.
  const locked = <T>(work: () => Promise<T>) => exclusively(`lab-${lab}`, `lab ${lab}`, work);
  const hostOf = (machine: Machine): Host => {
    const host = instance.hosts.find((one) => one.name === machine.name && one.kind === "node");
    if (host) return host;
    throw refused(
      "VBOX_E_OBJECT_NOT_FOUND",
      `stand-in: the lab has no host called '${machine.name}', which this machine could be`,
      "Machine",
      "LaunchVMProcess()",
    );
  };
  return {
    isOn: (machine) => {
      const host = instance.hosts.find((one) => one.name === machine.name);
      return host !== undefined && isOn(host);
    },
    on: (machine) => locked(() => powerUp(instance, hostOf(machine), machine)),
    off: (machine) => locked(() => switchOff(instance, hostOf(machine))),
    async button(machine) {
      await consoleRun(hostOf(machine), ["systemctl", "poweroff"]);
    },
    async furnish(machine) {
      const host = instance.hosts.find((one) => one.name === machine.name);
      if (host) await furnish(instance, host, machine);
    },
    async discard(machine) {
      const host = instance.hosts.find((one) => one.name === machine.name);
      if (host) await discard(host);
    },
    connect: (networks) => connect(instance, networks),
  };
}

async function powerUp(instance: Instance, host: Host, machine: Machine): Promise<void> {
  await furnish(instance, host, machine);
  const mac = machine.settings.macaddress1?.match(/../g)?.join(":").toLowerCase();
  await switchOn(instance, host, { base: await baseRoot(), platform: "virtualbox", mac });
}

/** Files by which the host finds its disks, what it boots from, and what its live installer is told. */
async function furnish(instance: Instance, host: Host, machine: Machine): Promise<void> {
  fs.mkdirSync(host.dir, { recursive: true });
  for (const [at, disk] of disksOf(host).entries()) {
    const slot = machine.slots[`${at}-0`];
    if (slot?.type === "hdd") link(slot.medium, disk.file);
    else await unlink(disk.file);
  }
  const drives = Object.values(machine.slots).filter(({ type }) => type === "dvddrive");
  const images = drives.map(({ medium }) => medium).filter((medium) => medium !== "emptydrive");
  const configs = images.map((image) => readConfigDrive(image)).filter((text) => text !== undefined);
  const bootable = images.length > configs.length;
  const order = [1, 2, 3, 4].map((at) => machine.settings[`boot${at}`]);
  const devices = order.filter((one) => one === "disk" || (one === "dvd" && bootable));
  writeAtomic(path.join(host.dir, "boot"), `${devices.join(" ")}\n`);
  await writeInstallerLayer(host, configs[0], isOn(host));
}

function link(target: string, file: string): void {
  const known = fs.lstatSync(file, { throwIfNoEntry: false });
  if (known?.isSymbolicLink() && fs.readlinkSync(file) === target) return;
  fs.rmSync(file, { force: true });
  fs.symlinkSync(target, file);
}

/** A disk that is out of the machine is out of the host: its device goes, its image stays where it is. */
async function unlink(file: string): Promise<void> {
  if (!fs.lstatSync(file, { throwIfNoEntry: false })) return;
  const device = fs.existsSync(file) ? await loopOf(file) : undefined;
  fs.rmSync(file, { force: true });
  if (device !== undefined) await run("losetup", ["--detach", device]);
}

async function discard(host: Host): Promise<void> {
  for (const disk of disksOf(host)) await unlink(disk.file);
  await must("rm", ["-rf", "--one-file-system", host.dir]);
}

/** The forwards of all networks that run, and no others. */
async function connect(instance: Instance, networks: readonly Network[]): Promise<void> {
  const running = networks.filter(({ enabled, started }) => enabled && started);
  const foreign = running.find(({ prefix }) => prefix !== SUBNET);
  if (foreign) {
    throw refused(
      "NS_ERROR_INVALID_ARG",
      `stand-in: the lab's hosts are in ${SUBNET}, not in ${foreign.prefix}`,
      "NATNetwork",
      "Start()",
    );
  }
  if (running.length > 0) await ensureNetwork(instance);
  const wanted = running.flatMap(({ rules }) =>
    rules.map((rule) => ({ port: rule.hostPort, address: rule.guestAddress, targetPort: rule.guestPort })),
  );
  const own = forwards(instance, "virtualbox").map(({ port }) => port);
  const ports = [...own, ...wanted.map(({ port }) => port)];
  for (const port of forwardedPorts(instance)) if (!ports.includes(port)) removeForward(instance, port);
  for (const forward of wanted) await ensureForward(instance, forward);
}
