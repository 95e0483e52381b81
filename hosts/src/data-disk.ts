/** A node's data disk: formatted when blank, mounted by label, marked as the node's; left alone when it holds anything else. */
import type { DataDiskInputs, DataDiskOutputs, Operation } from "./contract";
import {
  OWNER_FILE,
  dataClaimOf,
  dataContentOf,
  dataDiskFunction,
  dataRefusalOf,
  parseDataDisk,
  type DataClaimant,
  type DataOwner,
  type FoundDataDisk,
} from "./data-claim";
import { diffOf } from "./diff";
import { diskStateFunction } from "./disk-claim";
import { HostError } from "./errors";
import { eraseScript } from "./installation/scripts";
import { note, warn } from "./log";
import { isReinstalled, readOrRecorded, recording, unlessUnreachable, withoutProvider } from "./operation";
import { brief } from "./ssh/connect";
import { runScript } from "./ssh/exec";
import type { Patience } from "./ssh/connect";

/** Mounts the data disk at every boot. */
export const DATA_UNIT = "moorage-data.service";

/** `$1` device, `$2` label. */
const inspectScript = `${diskStateFunction}
${dataDiskFunction}
data_disk "$1" "$2"
`;

/** What stays on the node and mounts at every boot: a service, as some hosts have no udev for a mount unit to wait for. */
const mountScript = `#!/bin/sh
# Mounts the data disk by its label; the device is only where it is looked for first. Folders on it follow, which are for
# containers.
set -eu
device=$1 label=$2 directory=$3
shift 3
if ! mountpoint -q "$directory"; then
  real=$(readlink -f -- "$device") || real=
  if [ ! -b "$real" ] || [ "$(blkid -p -s LABEL -o value -- "$real" 2>/dev/null)" != "$label" ]; then
    real=$(blkid -c /dev/null -t "LABEL=$label" -o device | head -n 1)
  fi
  if [ -z "$real" ]; then echo "no disk with label $label" >&2; exit 1; fi
  mount -- "$real" "$directory"
fi
# Where SELinux is enforced, containers read what has their label alone, and a Swarm gives it to no folder.
if [ "$(cat /sys/fs/selinux/enforce 2>/dev/null)" != 1 ]; then exit 0; fi
policy=$(sed -n 's/^SELINUXTYPE=//p' /etc/selinux/config)
contexts=/usr/share/containers/selinux/contexts
[ -f "$contexts" ] || contexts=/etc/selinux/$policy/contexts/lxc_contexts
wanted=$(sed -n 's/^file *= *"\\(.*\\)"$/\\1/p' "$contexts") || wanted=
if [ -z "$wanted" ]; then echo "no label for containers in $contexts" >&2; exit 0; fi
restorecon "$directory" || :
for folder do
  if [ ! -d "$directory/$folder" ] || [ "$(stat -c %C "$directory/$folder")" = "$wanted" ]; then continue; fi
  # The folder itself comes last: once it has the label, all below has it.
  find "$directory/$folder" -xdev -depth -exec chcon -h "$wanted" {} +
done
`;

/**
 * `$1` device as configured, `$2` label, `$3` mount point, `$4` the resolved device, `$5` whether to format it, `$6` what its
 * owner file says; directories follow.
 */
const ensureScript = `
set -eu
configured=$1 label=$2 directory=$3 device=$4 format=$5 owner=$6
shift 6
if [ "$format" = yes ]; then
  if command -v mkfs.xfs >/dev/null; then mkfs.xfs -q -L "$label" "$device" >&2
  else mkfs.ext4 -q -L "$label" "$device" >&2
  fi
fi
mkdir -p "$directory" /etc/moorage /etc/systemd/system
# Fedora CoreOS mounts /var while it boots.
parent=$(readlink -f -- "$(dirname -- "$directory")")
# What is written here while the disk is not mounted would be lost behind it.
mountpoint -q "$directory" || chattr +i "$directory" 2>/dev/null || :
cat > /etc/moorage/.mount-data <<'MOORAGE_END'
${mountScript}MOORAGE_END
chmod 0755 /etc/moorage/.mount-data
mv -f /etc/moorage/.mount-data /etc/moorage/mount-data
cat > /etc/systemd/system/.${DATA_UNIT} <<MOORAGE_END
[Unit]
Description=Data disk on $directory
DefaultDependencies=no
RequiresMountsFor=$parent
After=local-fs-pre.target systemd-remount-fs.service
Before=docker.service shutdown.target umount.target
Conflicts=shutdown.target umount.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh /etc/moorage/mount-data $configured $label $directory $*
ExecStop=/bin/sh -c 'umount -- $directory || umount -l -- $directory'

[Install]
WantedBy=multi-user.target docker.service
MOORAGE_END
unit=/etc/systemd/system/${DATA_UNIT}
if cmp -s /etc/systemd/system/.${DATA_UNIT} $unit; then rm -f /etc/systemd/system/.${DATA_UNIT}
else
  mv -f /etc/systemd/system/.${DATA_UNIT} $unit
  systemctl daemon-reload
fi
systemctl enable -q ${DATA_UNIT} 2>/dev/null || systemctl enable ${DATA_UNIT}
mountpoint -q "$directory" || systemctl stop ${DATA_UNIT}
systemctl start ${DATA_UNIT} || { journalctl -n 5 --no-pager -u ${DATA_UNIT} >&2; exit 1; }
mountpoint -q "$directory" || { echo "$directory is not mounted although ${DATA_UNIT} started" >&2; exit 1; }
# Before there is any data, and in one step: half a file would name nobody.
if [ "$(cat -- "$directory/${OWNER_FILE}" 2>/dev/null)" != "$owner" ]; then
  printf '%s\\n' "$owner" > "$directory/.${OWNER_FILE}"
  sync -- "$directory/.${OWNER_FILE}"
  mv -f -- "$directory/.${OWNER_FILE}" "$directory/${OWNER_FILE}"
  sync -- "$directory"
fi
for wanted do mkdir -p -- "$directory/$wanted"; done
/bin/sh /etc/moorage/mount-data "$configured" "$label" "$directory" "$@"
`;

/** `$1` mount point; directories follow. Prints `mounted`, and those of them that are there. */
const mountedScript = `
mountpoint -q "$1" || exit 0
echo mounted
cd -- "$1" && shift
for wanted do
  if [ -d "$wanted" ]; then printf '%s\\n' "$wanted"; fi
done
`;

/** `$1` mount point. */
const releaseScript = `
set -eu
if systemctl cat ${DATA_UNIT} >/dev/null 2>&1; then systemctl disable --now ${DATA_UNIT} >&2; fi
if mountpoint -q "$1"; then umount -- "$1" || umount -l -- "$1"; fi
rm -f /etc/systemd/system/${DATA_UNIT} /etc/moorage/mount-data
if [ -d "$1" ]; then chattr -i "$1" 2>/dev/null || :; fi
systemctl daemon-reload
`;

async function inspect(inputs: DataDiskInputs, patience?: Patience): Promise<FoundDataDisk> {
  const { connection, device, label } = inputs;
  const purpose = `inspecting the data disk ${device}`;
  const options = { sudo: true, purpose, patience };
  const { stdout } = await runScript(connection, inspectScript, [device, label], options);
  const lines = [...stdout.matchAll(/^(\w+)=(.*)$/gm)].map(
    ([, key = "", value = ""]) => [key, value] as const,
  );
  const found = parseDataDisk(new Map(lines));
  if (found === undefined) throw new HostError(connection.node, `${purpose}: no answer`);
  return found;
}

function claimantOf(inputs: DataDiskInputs, formerStack?: string): DataClaimant {
  const { connection, stack, wipeDataDiskSerial, adoptDiskSerial } = inputs;
  return { node: connection.node, stack, formerStack, wipeDataDiskSerial, adoptDiskSerial };
}

/**
 * Makes the disk ready to be mounted, as far as it may be.
 * @returns the device, and whether it is to be formatted
 * @throws HostError where it holds anything that is not this node's
 */
async function claim(
  inputs: DataDiskInputs,
  formerStack?: string,
): Promise<{ readonly real: string; readonly isBlank: boolean }> {
  const { connection, device } = inputs;
  const { node } = connection;
  const claimant = claimantOf(inputs, formerStack);
  const found = await inspect(inputs);
  const { real, serial } = found;
  const claimed = dataClaimOf(found, claimant);
  switch (claimed) {
    case "own":
      return { real, isBlank: false };
    case "nobody":
      warn(node, `the data disk ${device} (${real}) names no owner: it is mounted and marked as this node's`);
      return { real, isBlank: false };
    case "adopted":
      warn(
        node,
        `the data disk ${device} (${real}) becomes this node's, as configured: ${dataContentOf(found)}`,
      );
      return { real, isBlank: false };
    case "blank":
      note(node, `formatting the blank data disk ${real}`);
      return { real, isBlank: true };
    case "wipeable":
      note(
        node,
        `erasing ${device} (serial number ${serial}), as configured; it holds ${dataContentOf(found)}`,
      );
      await runScript(connection, eraseScript, [real, serial], { sudo: true, purpose: `erasing ${device}` });
      return { real, isBlank: true };
    case "refused": {
      const { what, advice } = dataRefusalOf(device, found, claimant);
      throw new HostError(node, `${what}. To do: ${advice}`);
    }
    default:
      return claimed satisfies never;
  }
}

async function ensure(inputs: DataDiskInputs, formerStack?: string): Promise<DataDiskOutputs> {
  const { connection, device, label, mountPoint, stack, directories = [] } = inputs;
  for (const path of [device, mountPoint, ...directories.map((folder) => `/${folder}`)]) {
    if (!/^\/[\w.:@+/-]+$/.test(path))
      throw new HostError(connection.node, `"${path}" cannot stand in a systemd unit`);
  }
  const { real, isBlank } = await claim(inputs, formerStack);
  const owner: DataOwner = { stack, node: connection.node };
  await runScript(
    connection,
    ensureScript,
    [device, label, mountPoint, real, isBlank ? "yes" : "no", JSON.stringify(owner), ...directories],
    {
      sudo: true,
      timeoutSeconds: 300,
      purpose: `mounting the data disk ${device} on ${mountPoint}`,
    },
  );
  return withoutProvider(inputs);
}

/** What of it is there: the mount point, and the folders on the mounted disk. */
async function mounted({
  connection,
  mountPoint,
  directories,
}: DataDiskOutputs): Promise<Partial<DataDiskOutputs>> {
  const { stdout } = await runScript(connection, mountedScript, [mountPoint, ...(directories ?? [])], {
    sudo: true,
    patience: brief,
    purpose: `looking at ${mountPoint}`,
  });
  const [found, ...folders] = stdout.trimEnd().split("\n");
  return {
    mountPoint: found === "mounted" ? mountPoint : "",
    ...(directories && { directories: directories.filter((each) => folders.includes(each)) }),
  };
}

/**
 * Formats a blank disk, mounts it by label at every boot, and marks it as the node's. Fails when the disk holds anything else.
 * `delete` keeps the content and the mark.
 */
export const dataDisk: Operation<DataDiskInputs, DataDiskOutputs> = {
  async create(inputs) {
    const id = `${inputs.connection.node}/data`;
    return { id, outs: await recording(id, inputs, () => ensure(inputs)) };
  },
  read(id, state) {
    return readOrRecorded(state.connection.node, id, state, async () => {
      const found = await inspect(state, brief);
      const label = found.state === "labelled" ? state.label : "";
      const stack = dataClaimOf(found, claimantOf(state)) === "own" ? state.stack : "";
      return { id, outs: { ...state, label, stack, ...(await mounted(state)) } };
    });
  },
  diff(state, inputs) {
    return diffOf(state, inputs, { connections: ["connection"] });
  },
  async update(_id, state, inputs) {
    const moved = state.mountPoint !== "" && state.mountPoint !== inputs.mountPoint;
    if (moved && !isReinstalled(state, inputs)) await release(state);
    return ensure(inputs, state.stack);
  },
  async delete(_id, state) {
    await unlessUnreachable(state.connection.node, "its data disk stays mounted", () => release(state));
  },
};

async function release({ connection, mountPoint }: DataDiskOutputs): Promise<void> {
  await runScript(connection, releaseScript, [mountPoint || "/nonexistent"], {
    sudo: true,
    timeoutSeconds: 120,
    purpose: "unmounting the data disk",
  });
}
