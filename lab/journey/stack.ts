import { createHash, randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { isMap, parseDocument, type Document } from "yaml";
import { disksOf } from "../disks";
import { LabError, readIf, writeAtomic } from "../exec";
import { checkout, projectName, stackName, type Instance, type Platform } from "../instance";
import { hostPublicKey, installerKey } from "../keys";
import { hypervisorHostKey, installerImage } from "../virtualbox/hypervisor";

/** The lab's copy of `Pulumi.dev.yaml`: that file and what only this lab knows. */
export const stackFile = (instance: Instance): string => path.join(instance.dir, "Pulumi.dev.yaml");

export const passphraseFile = (instance: Instance): string => path.join(instance.dir, "passphrase");

export const backendFolder = (instance: Instance): string => path.join(instance.dir, "backend");

/**
 * Where Pulumi keeps a state in a folder. Without the files of attributes that it would write beside each other one: they are
 * written in place (`setAttrs` in gocloud's `blob/fileblob`), and an empty one makes the state unreadable.
 */
export const backendIn = (folder: string): string => `file://${folder}?metadata=skip`;

/** Whether Pulumi has a stack there; folders that it makes for one come before it. */
export function hasStack(instance: Instance): boolean {
  const folder = path.join(backendFolder(instance), ".pulumi", "stacks", projectName);
  return fs.existsSync(path.join(folder, `${stackName}.json`));
}

/**
 * Writes the lab's copy of `Pulumi.dev.yaml`, with the ports and installer keys of this lab. Made anew when
 * the original has changed since; otherwise left alone, so that `pulumi config set` keeps what it set.
 */
export function ensureStackFile(instance: Instance, platform: Platform): void {
  const source = path.join(checkout(), "Pulumi.dev.yaml");
  const text = fs.readFileSync(source, "utf8");
  const original = path.join(instance.dir, "Pulumi.dev.original.yaml");
  const known = readIf(stackFile(instance));
  if (known !== undefined && readIf(original) === text) return;
  const document = parsed(text);
  const salt = known === undefined ? undefined : parseDocument(known).get("encryptionsalt");
  if (salt !== undefined) document.set("encryptionsalt", salt);
  document.setIn(["config", "moorage:platform"], platform);
  if (platform === "virtualbox") reachHypervisor(document, instance);
  else document.deleteIn(["config", "moorage:hypervisor"]);
  // Users of hosts that ran before are their owner's.
  if (platform === "existing") document.deleteIn(["config", "moorage:os"]);
  for (const host of instance.hosts.filter((one) => one.kind === "node")) {
    adapt(document, instance, host, platform);
  }
  writeAtomic(stackFile(instance), document.toString(), 0o600);
  writeAtomic(original, text);
}

/** The lab's hypervisor, reached over SSH as a real one would be. */
function reachHypervisor(document: Document, instance: Instance): void {
  const image = installerImage(instance);
  const hypervisor = ["config", "moorage:hypervisor"];
  const ssh = [...hypervisor, "ssh"];
  document.setIn([...ssh, "port"], instance.hypervisorPort);
  document.setIn([...ssh, "hostKey"], hypervisorHostKey(instance));
  document.setIn([...ssh, "identityFile"], installerKey(instance));
  document.setIn([...hypervisor, "registryPort"], instance.registryPort);
  document.setIn([...hypervisor, "iso"], {
    path: image,
    version: "stand-in",
    sha256: createHash("sha256").update(fs.readFileSync(image)).digest("hex"),
  });
}

function parsed(text: string): Document {
  const document = parseDocument(text);
  const [mistake] = document.errors;
  if (mistake) throw new LabError(`Pulumi.dev.yaml is no YAML: ${mistake.message.trimEnd()}`);
  return document;
}

function adapt(
  document: Document,
  instance: Instance,
  host: Instance["hosts"][number],
  platform: Platform,
): void {
  const node = ["config", "moorage:nodes", host.name];
  if (!isMap(document.getIn(node))) {
    throw new LabError(`Pulumi.dev.yaml has no node ${host.name}, which this lab has: put it back`);
  }
  if (platform === "virtualbox") {
    document.setIn([...node, "ssh", "port"], host.sshPort);
    return;
  }
  const reached = {
    host: "127.0.0.1",
    port: host.sshPort,
    hostKey: hostPublicKey(host),
    identityFile: installerKey(instance),
  };
  if (platform === "existing") {
    document.setIn([...node, "ssh"], reached);
    document.deleteIn([...node, "disk"]);
    return;
  }
  document.setIn([...node, "ssh", "port"], host.sshPort);
  document.setIn([...node, "installer"], reached);
  const [system] = disksOf(host);
  if (!system) throw new LabError(`${host.name} has no system disk: run make clean, then make lab`);
}

/** The passphrase of the lab's stack, made once. */
export function passphrase(instance: Instance): string {
  const file = passphraseFile(instance);
  if (!fs.existsSync(file)) writeAtomic(file, randomBytes(24).toString("base64url"), 0o600);
  return fs.readFileSync(file, "utf8").trim();
}
