import * as fs from "node:fs";
import * as path from "node:path";
import { must } from "./exec";
import type { Host, Instance } from "./instance";

/** Makes an ed25519 key pair in OpenSSH's format where there is none yet. */
export async function ensureKey(file: string, comment: string): Promise<void> {
  if (fs.existsSync(file) && fs.existsSync(`${file}.pub`)) return;
  fs.mkdirSync(path.dirname(file), { recursive: true });
  for (const leftover of [file, `${file}.pub`]) fs.rmSync(leftover, { force: true });
  await must("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", file]);
  fs.chmodSync(file, 0o600);
}

/** The private key that opens installers, existing hosts and clients. */
export const installerKey = (instance: Instance): string => path.join(instance.dir, "installer_key");

/** The host key of a host's installer (or of an existing host or client); `.pub` beside it. */
export const hostKeyFile = (host: Host): string => path.join(host.dir, "installer_host_ed25519_key");

/** The public half of a host's installer key, as `ssh-ed25519 AAAA…` without its comment. */
export function hostPublicKey(host: Host): string {
  return publicKeyOf(hostKeyFile(host));
}

/** The public half of a key in a file, as `ssh-ed25519 AAAA…` without its comment. */
export function publicKeyOf(file: string): string {
  return fs.readFileSync(`${file}.pub`, "utf8").trim().split(" ").slice(0, 2).join(" ");
}

/** Makes the instance's key and one host key for each host, once. */
export async function ensureKeys(instance: Instance): Promise<void> {
  await ensureKey(installerKey(instance), `${instance.prefix} lab`);
  await Promise.all(instance.hosts.map((host) => ensureKey(hostKeyFile(host), host.name)));
}
