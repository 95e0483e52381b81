#!/bin/bash
# Keeps one lab host: the mains, the firmware and the initramfs of a machine.
#
#   supervisor.sh run DIR       boots the host, again after each reboot, until it is powered off
#   supervisor.sh kill DIR      ends all of the host's processes at once, frozen ones too
#   supervisor.sh cleanup DIR   takes away whatever a host left behind (also one cut off half way)
#
# DIR/boot.env (written by hosts.ts) says what the host is made of; DIR/state is what it is now:
# off, starting, installer, installed, existing, or "failed: …". DIR/power is on or off.
set -uo pipefail
PATH=/usr/sbin:/usr/bin:/sbin:/bin
action=$1
DIR=$2
# shellcheck source=/dev/null
. "$DIR/boot.env"
ROOT=$DIR/root DISK=$DIR/disk SCRATCH=$DIR/scratch
LABEL=MOORAGE-LAB-ROOT

state() {
  printf '%s\n' "$*" >"$DIR/state.new"
  mv "$DIR/state.new" "$DIR/state"
}

# The host's folders in every cgroup hierarchy of this machine.
cgroups() {
  local folder
  if [[ -f /sys/fs/cgroup/cgroup.controllers ]]; then
    echo "/sys/fs/cgroup/$CGROUP"
    return
  fi
  for folder in /sys/fs/cgroup/*; do
    [[ -L $folder || ! -f $folder/cgroup.procs ]] || echo "$folder/$CGROUP"
  done
}

# A lab is one group beside single processes of this machine. With the share of one of those, a busy machine would keep
# its hosts waiting until they take each other for gone.
enter_cgroups() {
  local folder parent file
  for folder in $(cgroups); do
    mkdir -p "$folder" || return 1
    parent=$(dirname "$folder")
    for file in cpuset.cpus cpuset.mems; do
      [[ -f $folder/$file && ! -f $folder/cgroup.controllers ]] || continue
      [[ -n $(<"$parent/$file") ]] || cat "$parent/../$file" >"$parent/$file"
      [[ -n $(<"$folder/$file") ]] || cat "$parent/$file" >"$folder/$file"
    done
    [[ ! -f $parent/cpu.shares ]] || echo 8192 >"$parent/cpu.shares"
    [[ ! -f $parent/cpu.weight ]] || echo 800 >"$parent/cpu.weight"
    echo "$BASHPID" >"$folder/cgroup.procs" || return 1
  done
}

# Every process of the host, whichever way it is found.
host_pids() {
  local folder
  {
    for folder in $(cgroups); do
      [[ -d $folder ]] && find "$folder" -name cgroup.procs -exec cat {} + 2>/dev/null
    done
    ip netns pids "$NETNS" 2>/dev/null
  } | grep -vx 0 | sort -u
}

# Whether a process is the host's at this moment: a number that was listed may be another's by now. Starts no process, so
# that next to no time passes before the signal.
is_hosts() { # pid
  local line
  [[ /proc/$1/ns/net -ef /run/netns/$NETNS ]] && return 0
  while read -r line; do
    [[ $line != *"/$CGROUP" && $line != *"/$CGROUP/"* ]] || return 0
  done 2>/dev/null <"/proc/$1/cgroup"
  return 1
}

kill_host() {
  local pid left
  for _ in {1..50}; do
    find "/sys/fs/cgroup/freezer/$CGROUP" -name freezer.state 2>/dev/null |
      while read -r file; do echo THAWED >"$file"; done
    [[ ! -f /sys/fs/cgroup/$CGROUP/cgroup.freeze ]] || echo 0 >"/sys/fs/cgroup/$CGROUP/cgroup.freeze"
    left=
    for pid in $(host_pids); do
      is_hosts "$pid" || continue
      kill -KILL "$pid" 2>/dev/null
      left+=" $pid"
    done
    [[ -n $left ]] || return 0
    sleep 0.1
  done
  echo "processes do not end:$left" >&2
}

unmount_all() {
  local target
  # The deepest mount first.
  awk -v d="$DIR/" 'index($5, d) == 1 { print $5 }' /proc/self/mountinfo | sort -r |
    while read -r target; do umount "$target" 2>/dev/null || umount -l "$target"; done
}

# What systemd-nspawn takes away itself unless it is killed: its lock on the root, and a folder of the host's name.
forget_nspawn() {
  local folder
  ! mountpoint -q "$ROOT" || rm -f "/run/systemd/nspawn/locks/inode-$(stat -c %d:%i "$ROOT")"
  for folder in /run/systemd/nspawn/*/"$PREFIX-$HOST"; do
    [[ ! -d $folder ]] || rm -rf --one-file-system "$folder"
  done
}

cleanup() {
  local folder
  kill_host
  ip netns del "$NETNS" 2>/dev/null
  ip -n "$NETNS_BRIDGE" link del "$HOST" 2>/dev/null
  forget_nspawn
  unmount_all
  for folder in $(cgroups); do
    [[ ! -d $folder ]] || find "$folder" -depth -type d -exec rmdir {} + 2>/dev/null
    rmdir "$(dirname "$folder")" 2>/dev/null
  done
  return 0
}

plug_network() {
  ip netns add "$NETNS" &&
    ip link add name eth0 netns "$NETNS" address "$MAC" type veth peer name "$HOST" netns "$NETNS_BRIDGE" &&
    ip -n "$NETNS_BRIDGE" link set "$HOST" master br0 up &&
    ip -n "$NETNS" link set lo up
}

mount_overlay() { # layer, upper, work
  mount -t overlay -o "lowerdir=$1:$BASE,upperdir=$2,workdir=$3" overlay "$ROOT"
}

mount_installer() {
  mount -t tmpfs -o size=50%,mode=0755 tmpfs "$SCRATCH" && mkdir "$SCRATCH/upper" "$SCRATCH/work" &&
    mount_overlay "$DIR/layer-installer" "$SCRATCH/upper" "$SCRATCH/work"
}

mount_installed() {
  mount "$SYSTEM_DEV" "$DISK" || return 1
  if [[ -f $DISK/moorage-lab/ignition.json && ! -f $DISK/moorage-lab/ignition.applied ]]; then
    rm -rf "$DISK/upper" "$DISK/work"
  fi
  mkdir -p "$DISK/upper" "$DISK/work" "$DISK/docker" && chmod 0710 "$DISK/docker" &&
    mount_overlay "$DIR/layer-installed" "$DISK/upper" "$DISK/work"
}

# In a mount namespace of its own: Debian's real ignition against the host's root, as an
# initramfs does it on the first boot.
ignition_stages() {
  local tools=$BASE ignition=/usr/lib/dracut/modules.d/30ignition/ignition stage
  mount --bind "$tools" "$tools" && mount -t tmpfs tmpfs "$tools/run" && mount -t tmpfs tmpfs "$tools/tmp" &&
    mount -t proc proc "$tools/proc" && mount --rbind /dev "$tools/dev" && mount --rbind "$ROOT" "$tools/mnt" || return 1
  cp "$IGNITION" "$tools/run/config.ign" || return 1
  export IGNITION_CONFIG_FILE=/run/config.ign
  for stage in fetch files; do
    chroot "$tools" "$ignition" --platform file --root /mnt --config-cache /run/ignition.json \
      --state-file /run/state --neednet /run/neednet --log-to-stdout --stage "$stage" || return 1
  done
  chroot "$tools" systemctl --root /mnt preset-all
}

apply_ignition() { # file
  (export -f ignition_stages; export BASE ROOT IGNITION="$1"; unshare -m bash -c ignition_stages) >"$DIR/ignition.log" 2>&1 && return 0
  state "failed: ignition $(grep -iE 'error|fail|crit' "$DIR/ignition.log" | tail -n 1 | cut -c1-200) (see $DIR/ignition.log)"
  return 1
}

# An installed system is configured once, on its first boot.
configure_installed() {
  [[ -f $DISK/moorage-lab/ignition.json && ! -f $DISK/moorage-lab/ignition.applied ]] || return 0
  apply_ignition "$DISK/moorage-lab/ignition.json" || return 1
  cp "$DIR/ignition.log" "$DISK/moorage-lab/ignition.applied"
  sync -f "$DISK"
}

# A cloud-config is applied by the booted system itself (user-cloudinit@.service), which takes a program that not every
# machine has.
check_cloud_config() {
  compgen -G "$DISK/upper/var/lib/*-install/user_data" >/dev/null || return 0
  [[ ! -x $DIR/layer-installed/usr/bin/coreos-cloudinit ]] || return 0
  state 'failed: it was installed with a cloud-config, and this machine has no archive of coreos-cloudinit (MOORAGE_PLUGINS)'
  return 1
}

# The devices the firmware tries, in their order: a guest has a list, any other host its disk and the live installer.
firmware() {
  local device
  for device in $(cat "$DIR/boot" 2>/dev/null || echo disk dvd); do
    if [[ $device == dvd || $(blkid -p -o value -s LABEL "$SYSTEM_DEV" 2>/dev/null) == "$LABEL" ]]; then
      echo "$device"
      return
    fi
  done
}

# Mounts the root of what this boot starts, and says its name.
choose_root() {
  local device
  if [[ -d $DIR/layer-installer.next ]]; then
    rm -rf "$DIR/layer-installer" && mv "$DIR/layer-installer.next" "$DIR/layer-installer"
  fi
  device=$(firmware)
  [[ -n $device ]] || { state 'failed: no bootable medium found'; return 1; }
  if [[ $device == dvd ]]; then
    kind=installer
    mount_installer || { state 'failed: cannot mount the installer'; return 1; }
    # What it was told by the network, in place of the lab (live.ts). Each boot is its first.
    [[ ! -f $DIR/live.ign ]] || apply_ignition "$DIR/live.ign"
    return
  fi
  kind=installed
  [[ $PREINSTALLED != 1 ]] || kind=existing
  mount_installed || { state "failed: cannot mount the system disk $SYSTEM_DEV"; return 1; }
  configure_installed && check_cloud_config
}

boot() {
  # The clock is the machine's: setting the time zone alone would move it, the first time on a machine whose own
  # process 1 has not said that it runs on UTC.
  local -a options=(--quiet "--directory=$ROOT" "--machine=$PREFIX-$HOST" "--hostname=$HOST"
    --register=no --keep-unit --capability=all --drop-capability=CAP_SYS_TIME '--system-call-filter=@keyring bpf @privileged'
    "--network-namespace-path=/run/netns/$NETNS" --resolv-conf=off --timezone=off --link-journal=no)
  local -a arguments=()
  [[ $kind == installer ]] || options+=("--bind=$DISK/docker:/var/lib/docker")
  [[ -f /sys/fs/cgroup/cgroup.controllers ]] ||
    arguments=(systemd.unified_cgroup_hierarchy=0 SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1)
  state "$kind"
  (
    enter_cgroups || exit 1
    export SYSTEMD_NSPAWN_API_VFS_WRITABLE=1
    # shellcheck disable=SC2153 # DISKS is one of boot.env.
    exec systemd-nspawn "${options[@]}" "--setenv=LAB_DISKS=$DISKS" /usr/lib/moorage-lab/init "${arguments[@]}"
  ) </dev/null >>"$DIR/console.log" 2>&1
}

run() {
  local code kind
  mkdir -p "$ROOT" "$DISK" "$SCRATCH"
  : >"$DIR/console.log"
  while :; do
    cleanup
    state starting
    plug_network || { state 'failed: cannot plug the network'; break; }
    choose_root || break
    boot
    code=$?
    [[ $(<"$DIR/power") == on ]] || { state off; break; }
    [[ $code -eq 133 ]] && continue
    if [[ $code -eq 0 ]]; then
      echo off >"$DIR/power"
      state off
    else
      state "failed: the host ended with code $code (see $DIR/console.log)"
    fi
    break
  done
  cleanup
}

case $action in
  run) run ;;
  kill) kill_host ;;
  cleanup) cleanup ;;
  *) exit 2 ;;
esac
