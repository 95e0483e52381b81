/** A node's data disk: formatted when blank, mounted by label, never touched when it holds anything else. */
import type { Connection, DataDiskInputs, DataDiskOutputs, Operation } from "./contract";
import { diffOf } from "./diff";
import { HostError } from "./errors";
import { note } from "./log";
import { isReinstalled, readOrRecorded, recording, unlessUnreachable, withoutProvider } from "./operation";
import { brief } from "./ssh/connect";
import { runScript } from "./ssh/exec";
import type { Patience } from "./ssh/connect";

/** Mounts the data disk at every boot. */
export const DATA_UNIT = "moorage-data.service";

/** `$1` device, `$2` label. Prints `device=`, `content=blank|ours|missing|TEXT`. */
const inspectScript = `
resolve() {
  real=$(readlink -f -- "$1") || real=
  if [ -b "$real" ]; then printf '%s\\n' "$real"; fi
}
device=$(resolve "$1")
labelled=
if [ -n "$device" ]; then labelled=$(blkid -p -s LABEL -o value -- "$device" 2>/dev/null) || labelled=; fi
moved=
if [ "$labelled" != "$2" ]; then
  # Device names move between boots; the label does not.
  moved=$(blkid -c /dev/null -t "LABEL=$2" -o device 2>/dev/null | head -n 1)
  [ -b "$moved" ] || moved=
  if [ -n "$moved" ] && [ -z "$device" ]; then device=$moved; labelled=$2; fi
fi
if [ -z "$device" ]; then content=missing
elif [ "$labelled" = "$2" ]; then content=ours
elif [ -n "$moved" ]; then content="it is another disk than $moved, which has the label $2"
else
  found=$(blkid -p -o export -- "$device" 2>/dev/null); rc=$?
  if [ "$rc" -eq 2 ] && [ -z "$found" ]; then content=blank
  elif [ "$rc" -eq 8 ]; then content="signatures of several file systems"
  else content=$(printf '%s' "$found" | grep -E '^(TYPE|PTTYPE|LABEL)=' | tr '\\n' ' ')
  fi
  [ -n "$content" ] || content="something blkid cannot read"
fi
printf 'device=%s\\ncontent=%s\\n' "$device" "$content"
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

/** `$1` device as configured, `$2` label, `$3` mount point, `$4` the resolved device, `$5` blank or ours; directories follow. */
const ensureScript = `
set -eu
configured=$1 label=$2 directory=$3 device=$4 content=$5
shift 5
if [ "$content" = blank ]; then
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

interface Disk {
  readonly device: string;
  readonly content: string;
}

async function inspect(connection: Connection, inputs: DataDiskInputs, patience?: Patience): Promise<Disk> {
  const { stdout } = await runScript(connection, inspectScript, [inputs.device, inputs.label], {
    sudo: true,
    purpose: `looking at the data disk ${inputs.device}`,
    patience,
  });
  const value = (key: string) => new RegExp(`^${key}=(.*)$`, "m").exec(stdout)?.[1]?.trim() ?? "";
  return { device: value("device"), content: value("content") };
}

async function ensure(inputs: DataDiskInputs): Promise<DataDiskOutputs> {
  const { connection, device, label, mountPoint, directories = [] } = inputs;
  for (const path of [device, mountPoint, ...directories.map((folder) => `/${folder}`)]) {
    if (!/^\/[\w.:@+/-]+$/.test(path))
      throw new HostError(connection.node, `"${path}" cannot stand in a systemd unit`);
  }
  const disk = await inspect(connection, inputs);
  if (disk.content === "missing") {
    throw new HostError(
      connection.node,
      `there is no data disk ${device}, and no disk with the label ${label}`,
    );
  }
  if (disk.content !== "blank" && disk.content !== "ours") {
    throw new HostError(
      connection.node,
      `the data disk ${device} (${disk.device}) is neither blank nor ours: ${disk.content.trim()}. It is left as it is. ` +
        `If nothing on it is needed, erase it there with \`wipefs -a ${disk.device}\`, or name another disk in the configuration`,
    );
  }
  if (disk.content === "blank") note(connection.node, `formatting the blank data disk ${disk.device}`);
  await runScript(
    connection,
    ensureScript,
    [device, label, mountPoint, disk.device, disk.content, ...directories],
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

/** Formats a blank disk and mounts it by label at every boot. Fails when the disk holds anything else. `delete` keeps the content. */
export const dataDisk: Operation<DataDiskInputs, DataDiskOutputs> = {
  async create(inputs) {
    const id = `${inputs.connection.node}/data`;
    return { id, outs: await recording(id, inputs, () => ensure(inputs)) };
  },
  read(id, state) {
    return readOrRecorded(state.connection.node, id, state, async () => {
      const disk = await inspect(state.connection, state, brief);
      const label = disk.content === "ours" ? state.label : "";
      return { id, outs: { ...state, label, ...(await mounted(state)) } };
    });
  },
  diff(state, inputs) {
    return diffOf(state, inputs, { connections: ["connection"] });
  },
  async update(_id, state, inputs) {
    const moved = state.mountPoint !== "" && state.mountPoint !== inputs.mountPoint;
    if (moved && !isReinstalled(state, inputs)) await release(state);
    return ensure(inputs);
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
