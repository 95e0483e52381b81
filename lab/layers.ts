import * as fs from "node:fs";
import * as path from "node:path";
import { must, readIf } from "./exec";
import type { Host, Instance, Platform } from "./instance";
import { hostKeyFile, installerKey } from "./keys";
import { cloudinitLayer, layIgnition, toldLayer, type Told } from "./live";
import { guestDir } from "./roots";
import { cloudConfigLayer } from "./virtualbox/cloudConfig";

const CORE_ID = 500;
const HOST_KEY = "etc/ssh/ssh_host_ed25519_key";

/** A file of a layer: its content, or the file of this machine that it is a copy of; mode where it is not 0644. */
interface LayerFile {
  readonly content: string | { readonly of: string };
  readonly mode?: number;
  /** Owned by the user core, with its folders up to /home/core. */
  readonly core?: boolean;
}

const link = (target: string): { readonly target: string } => ({ target });
export type Layer = Record<string, LayerFile | { readonly target: string }>;

function osRelease(variant: string, id: string): string {
  return [
    'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"',
    'NAME="Debian GNU/Linux"',
    'VERSION_ID="13"',
    'VERSION="13 (trixie)"',
    "VERSION_CODENAME=trixie",
    "ID=debian",
    `VARIANT="${variant}"`,
    `VARIANT_ID=${id}`,
    "",
  ].join("\n");
}

/** networkd's settings for the host's one interface: what a DHCP lease would give on a real network. */
function networkFile(instance: Instance, host: Host): string {
  return `# Written by the lab, in place of a DHCP lease.
[Match]
Name=eth0

[Network]
Address=${host.address}/24
Gateway=${instance.gateway}
LinkLocalAddressing=no
IPv6AcceptRA=no
`;
}

/** What every host gets that the lab itself runs: address, host key, and the lab's key for core. */
function access(instance: Instance, host: Host): Layer {
  const key = hostKeyFile(host);
  return {
    "etc/hostname": { content: `${host.name}\n` },
    "etc/systemd/network/20-lab.network": { content: networkFile(instance, host) },
    [HOST_KEY]: { content: fs.readFileSync(key, "utf8"), mode: 0o600 },
    [`${HOST_KEY}.pub`]: { content: fs.readFileSync(`${key}.pub`, "utf8") },
    "etc/ssh/sshd_config.d/20-lab-host-key.conf": { content: `HostKey /${HOST_KEY}\n` },
    "etc/systemd/system/sshd-keygen.service": link("/dev/null"),
    "home/core/.ssh/authorized_keys": {
      content: fs.readFileSync(`${installerKey(instance)}.pub`, "utf8"),
      mode: 0o600,
      core: true,
    },
  };
}

const INSTALLER_MOTD = `This is a STAND-IN for the live installer of Flatcar Container Linux: a lab host on a shared kernel.
It runs Debian from memory. flatcar-install is a stand-in too; its header says what it does not model.
`;

/** The live installer: what it is, over what it was told (by the lab, or by what it boots with). */
function installerLayer(told: Layer): Layer {
  return {
    ...told,
    "etc/motd": { content: INSTALLER_MOTD },
    "etc/os-release": {
      content: osRelease("Moorage lab: stand-in for the Flatcar live installer", "lab-installer"),
    },
    "usr/bin/flatcar-install": {
      content: fs.readFileSync(path.join(guestDir, "flatcar-install"), "utf8"),
      mode: 0o755,
    },
    "usr/bin/coreos-install": link("flatcar-install"),
  };
}

/** With the program that applies a cloud-config, where this machine has it. */
function installedLayer(): Layer {
  return {
    ...cloudinitLayer(),
    "etc/os-release": { content: osRelease("Moorage lab: Debian in place of CoreOS", "lab-installed") },
  };
}

function existingLayer(instance: Instance, host: Host): Layer {
  return {
    ...access(instance, host),
    "etc/os-release": {
      content: osRelease("Moorage lab: an ordinary Debian host with Docker", "lab-existing"),
    },
    "etc/systemd/system/multi-user.target.wants/docker.service": link(
      "/usr/lib/systemd/system/docker.service",
    ),
  };
}

async function write(folder: string, layer: Layer): Promise<void> {
  const temporary = `${folder}.new`;
  await must("rm", ["-rf", temporary]);
  fs.mkdirSync(temporary, { recursive: true });
  for (const [name, entry] of Object.entries(layer)) {
    const file = path.join(temporary, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    if ("target" in entry) {
      fs.symlinkSync(entry.target, file);
      continue;
    }
    if (typeof entry.content === "string") fs.writeFileSync(file, entry.content);
    else fs.copyFileSync(entry.content.of, file);
    fs.chmodSync(file, entry.mode ?? 0o644);
    if (entry.core === true) {
      await must("chown", ["-R", `${CORE_ID}:${CORE_ID}`, path.join(temporary, "home/core")]);
      await must("chmod", ["0700", path.dirname(file)]);
    }
  }
  await must("rm", ["-rf", folder]);
  fs.renameSync(temporary, folder);
}

/** Whether a host's live installer has the lab's own keys, and was told no others by what it boots with. */
export function hasLabKeys(host: Host): boolean {
  const key = readIf(hostKeyFile(host));
  return key !== undefined && key === readIf(path.join(host.dir, "layer-installer", HOST_KEY));
}

/** Whether a host comes up as an installed Debian with Docker, without any installation. */
export function isPreinstalled(host: Host, platform: Platform): boolean {
  return host.kind === "client" || platform === "existing";
}

/**
 * Writes the live installer of a guest. While the guest runs it is laid beside the one in use, and takes its place at
 * the next boot.
 */
export async function writeInstallerLayer(
  host: Host,
  userData: string | undefined,
  running: boolean,
): Promise<void> {
  const next = path.join(host.dir, "layer-installer.next");
  await must("rm", ["-rf", next]);
  const folder = running ? next : path.join(host.dir, "layer-installer");
  await write(folder, installerLayer(userData === undefined ? {} : cloudConfigLayer(userData)));
}

/**
 * Writes the layers that lie over the base root of one host: its installer, and its installed system.
 * @param told what the installer boots with. @default the lab's own keys and address
 */
export async function writeLayers(
  instance: Instance,
  host: Host,
  platform: Platform,
  told?: Told,
): Promise<void> {
  // A guest's installer is written as its drives are filled.
  if (platform !== "virtualbox" || host.kind !== "node") {
    const known = told === undefined ? access(instance, host) : toldLayer(told);
    await write(path.join(host.dir, "layer-installer"), installerLayer(known));
    layIgnition(host.dir, told);
  }
  const installed = isPreinstalled(host, platform) ? existingLayer(instance, host) : installedLayer();
  await write(path.join(host.dir, "layer-installed"), installed);
}
