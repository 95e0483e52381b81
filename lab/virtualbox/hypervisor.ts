/** The lab's hypervisor: made, started, and taken away. What it is and is not: command.ts and server.ts. */
import * as fs from "node:fs";
import * as path from "node:path";
import { isoImageOf } from "@moorage/hosts";
import { aliveRecord, killRecord, LabError, startDetached, waitFor } from "../exec";
import type { Instance } from "../instance";
import { ensureKey, installerKey, publicKeyOf } from "../keys";
import { greets, refuseTakenPort } from "../network";
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
  return start(instance);
}

async function start(instance: Instance): Promise<boolean> {
  if (aliveRecord(recordOf(instance))) return false;
  const folder = hypervisorFolder(instance);
  await refuseTakenPort(instance.hypervisorPort);
  const script = path.join(__dirname, "server.ts");
  const own = [folder, String(instance.number), String(instance.hypervisorPort)];
  const args = ["-r", require.resolve("tsx/cjs"), script, ...own];
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
