/**
 * What a machine's live installer is told by what it boots with, in place of the lab's own keys and address. A config
 * drive is read by coreos-cloudinit in the booted system; Ignition is applied before, by supervisor.sh.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { defaultSetting, ensureCloudinit } from "../toolchain";
import { LabError, writeAtomic } from "./exec";
import type { Layer } from "./layers";
import { readConfigDrive } from "./virtualbox/configDrive";

export type Told =
  | {
      readonly by: "config-drive";
      /** File of the drive's image. */
      readonly image: string;
    }
  | { readonly by: "ignition"; readonly text: string };

/**
 * As coreos-cloudinit has it, where the drive's mount starts it. Host keys that are made at the first start come before
 * it, or they would overwrite what it writes; the SSH server, which reads its key once, and not for each connection as
 * on CoreOS, comes after it.
 */
const configDriveUnit = `[Unit]
Description=Load cloud-config from /media/configdrive
After=sshd-keygen.service
Before=user-config.target ssh.service

[Service]
Type=oneshot
RemainAfterExit=yes
TimeoutSec=10min
EnvironmentFile=-/etc/environment
ExecStart=/usr/bin/coreos-cloudinit --from-configdrive=/media/configdrive
`;

/** The program that applies a cloud-config, where this machine has it. */
export function cloudinitLayer(): Layer | undefined {
  const cloudinit = ensureCloudinit(defaultSetting(() => undefined));
  if ("missing" in cloudinit) return undefined;
  return { "usr/bin/coreos-cloudinit": { content: { of: cloudinit.bin }, mode: 0o755 } };
}

/** What of it lies in the live installer's root when that boots. */
export function toldLayer(told: Told): Layer {
  switch (told.by) {
    case "ignition":
      return {};
    case "config-drive":
      return configDriveLayer(told.image);
    default:
      return told satisfies never;
  }
}

/**
 * The drive as it is mounted, and what reads it there. The mount itself is not modelled, as this machine's kernel need
 * not know ISO 9660; nor is its condition, a kernel that is told `flatcar.configdrive=1` (docs/metal.md).
 */
function configDriveLayer(image: string): Layer {
  const userData = readConfigDrive(image);
  if (userData === undefined) throw new LabError(`${image} is no config drive with user data on it`);
  const program = cloudinitLayer();
  if (program === undefined) {
    throw new LabError(
      "this machine has no archive of coreos-cloudinit (MOORAGE_PLUGINS), by which a live installer reads a config drive",
    );
  }
  const unit = "user-configdrive.service";
  return {
    ...program,
    "media/configdrive/openstack/latest/user_data": { content: userData, mode: 0o600 },
    [`usr/lib/systemd/system/${unit}`]: { content: configDriveUnit },
    [`etc/systemd/system/multi-user.target.wants/${unit}`]: { target: `/usr/lib/systemd/system/${unit}` },
  };
}

/** Lays Ignition into a host's folder for supervisor.sh, or takes away what an earlier boot was told. */
export function layIgnition(folder: string, told: Told | undefined): void {
  const file = path.join(folder, "live.ign");
  if (told?.by === "ignition") writeAtomic(file, told.text, 0o600);
  else fs.rmSync(file, { force: true });
}
