import * as path from "node:path";
import { LabError, readIf, writeAtomic } from "./exec";
import { consoleCommand, hostState } from "./hosts";
import type { Host, Instance } from "./instance";
import { hostPublicKey, installerKey } from "./keys";
import { hasLabKeys } from "./layers";

/** How to reach a host by SSH: written to `<lab>/ssh/<host>.json` by whoever installed it. */
export interface SshAccess {
  readonly user: string;
  /** `ssh-ed25519 AAAA…` */
  readonly hostKey: string;
  readonly identityFile: string;
}

/** Where the access to an installed host is recorded. */
export const accessFile = (instance: Instance, host: Host): string =>
  path.join(instance.dir, "ssh", `${host.name}.json`);

/** The access to a host as it is now; undefined where the lab does not know the host's keys. */
export function accessTo(instance: Instance, host: Host): SshAccess | undefined {
  const state = hostState(host);
  // What a live installer was told by others than the lab is between them and it.
  if (state === "installer" && !hasLabKeys(host)) return undefined;
  if (state === "installer" || state === "existing") {
    return { user: "core", hostKey: hostPublicKey(host), identityFile: installerKey(instance) };
  }
  const text = readIf(accessFile(instance, host));
  if (text === undefined) return undefined;
  const parsed: unknown = JSON.parse(text);
  if (isAccess(parsed)) return parsed;
  throw new LabError(
    `${accessFile(instance, host)} is not { user, hostKey, identityFile }: remove it, and run the installation's last step again`,
  );
}

function isAccess(value: unknown): value is SshAccess {
  if (typeof value !== "object" || value === null) return false;
  const entry = value as Readonly<Record<string, unknown>>;
  return ["user", "hostKey", "identityFile"].every((key) => typeof entry[key] === "string");
}

/** The file by which `ssh` knows a host; written anew where it is not right. */
export function knownHosts(instance: Instance, host: Host, { hostKey }: SshAccess): string {
  const known = path.join(instance.dir, "ssh", `${host.name}.known_hosts`);
  const line = `[127.0.0.1]:${host.sshPort} ${hostKey}\n`;
  if (readIf(known) !== line) writeAtomic(known, line);
  return known;
}

/** The arguments of `ssh` for a host, with its host key pinned and nothing else believed. */
export function sshArguments(
  instance: Instance,
  host: Host,
  access: SshAccess,
  command: readonly string[],
): readonly string[] {
  const options = [
    "StrictHostKeyChecking=yes",
    `UserKnownHostsFile=${knownHosts(instance, host, access)}`,
    "GlobalKnownHostsFile=/dev/null",
    "IdentitiesOnly=yes",
    "ConnectTimeout=10",
    "LogLevel=ERROR",
  ];
  const flags = options.flatMap((option) => ["-o", option]);
  return [
    ...flags,
    "-F",
    "none",
    "-i",
    access.identityFile,
    "-p",
    String(host.sshPort),
    `${access.user}@127.0.0.1`,
    ...command,
  ];
}

/** The whole command that opens a host: ssh with pinned keys, or its console where no key is known. */
export async function openCommand(
  instance: Instance,
  host: Host,
  command: readonly string[],
): Promise<{ argv: readonly string[]; note?: string }> {
  const access = accessTo(instance, host);
  if (access) return { argv: ["ssh", ...sshArguments(instance, host, access, command)] };
  const inside = command.length > 0 ? ["bash", "-c", command.join(" ")] : [];
  const note = `no SSH key of ${host.name} is recorded in ${accessFile(instance, host)}: entering by its console, as root`;
  return { argv: await consoleCommand(host, inside), note };
}
