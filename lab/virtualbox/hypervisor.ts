/** The lab's hypervisor: made, started, and taken away. What it is and is not: vboxmanage.ts and server.ts. */
import * as fs from "node:fs";
import * as path from "node:path";
import { isoImageOf } from "@moorage/hosts";
import { shellQuote } from "../../toolchain";
import { aliveRecord, killRecord, LabError, startDetached, waitFor, writeAtomic } from "../exec";
import { labRoot, type Instance } from "../instance";
import { ensureKey, installerKey, publicKeyOf } from "../keys";
import { greets, refuseTakenPort } from "../network";
import { bundleVBoxManage } from "./bundle";
import { labGuests } from "./labGuests";
import { Home } from "./state";

const START_MS = 20_000;

export const hypervisorFolder = (instance: Instance): string => path.join(instance.dir, "hypervisor");

const recordOf = (instance: Instance): string => path.join(hypervisorFolder(instance), "server.pid");

/** The image in place of the live installer's: a host that boots from it boots the lab's stand-in. */
export const installerImage = (instance: Instance): string =>
  path.join(hypervisorFolder(instance), "flatcar_production_iso_image.iso");

export const hypervisorHostKey = (instance: Instance): string =>
  publicKeyOf(path.join(hypervisorFolder(instance), "host_key"));

/** Makes and starts what is missing; says whether anything was. */
export async function ensureHypervisor(instance: Instance): Promise<boolean> {
  const folder = hypervisorFolder(instance);
  fs.mkdirSync(folder, { recursive: true });
  await ensureKey(path.join(folder, "host_key"), `${instance.prefix} hypervisor`);
  fs.copyFileSync(`${installerKey(instance)}.pub`, path.join(folder, "authorized_key.pub"));
  if (!fs.existsSync(installerImage(instance)))
    fs.writeFileSync(
      installerImage(instance),
      isoImageOf("LAB-INSTALLER", { readme: "A stand-in; see docs/lab.md.\n" }),
    );
  const environment: Record<string, string> = {
    MOORAGE_VBOX_HOME: folder,
    MOORAGE_VBOX_LAB: String(instance.number),
    MOORAGE_LAB_DIR: labRoot(),
    ...(process.env.MOORAGE_CACHE ? { MOORAGE_CACHE: process.env.MOORAGE_CACHE } : {}),
  };
  const exports = Object.entries(environment).map(([name, value]) => `export ${name}=${shellQuote(value)}\n`);
  const program = path.join(folder, "vboxmanage.js");
  bundleVBoxManage(program);
  const text = `#!/bin/sh\n# A STAND-IN for VBoxManage; what it does not model is said in lab/virtualbox/vboxmanage.ts.\n${exports.join("")}exec ${shellQuote(process.execPath)} ${shellQuote(program)} "$@"\n`;
  writeAtomic(path.join(folder, "bin", "VBoxManage"), text, 0o755);
  return start(instance);
}

async function start(instance: Instance): Promise<boolean> {
  if (aliveRecord(recordOf(instance))) return false;
  const folder = hypervisorFolder(instance);
  await refuseTakenPort(instance.hypervisorPort);
  const script = path.join(__dirname, "server.ts");
  const args = ["-r", require.resolve("tsx/cjs"), script, folder, String(instance.hypervisorPort)];
  const log = path.join(folder, "server.log");
  startDetached(process.execPath, args, log, recordOf(instance));
  const up = await waitFor(
    async () => ((await greets(instance.hypervisorPort)) ? true : undefined),
    START_MS,
  );
  if (!up) throw new LabError(`the hypervisor's SSH server does not start: see ${log}`);
  return true;
}

/** Starts the forwards of the hypervisor's networks that do not run. */
export async function connectGuests(instance: Instance): Promise<void> {
  await labGuests(instance.number).connect(new Home(hypervisorFolder(instance)).read().networks);
}

export function stopHypervisor(instance: Instance): void {
  killRecord(recordOf(instance));
}
