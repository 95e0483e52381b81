#!/bin/bash
# Runs inside a fresh Debian root (chroot) and turns it into the base of every lab host.
# Nothing in here differs between hosts: what differs is a layer above (layers.ts).
set -euo pipefail

groupadd --gid 500 core
useradd --key UID_MIN=500 --uid 500 --gid 500 --groups sudo,docker,systemd-journal --create-home --shell /bin/bash core
echo 'core ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/core
chmod 0440 /etc/sudoers.d/core

# As on Flatcar: keys from Ignition lie in a file of their own beside authorized_keys, and passwords are taken, asked
# for in either way, unless a file whose name comes before says no.
cat >/etc/ssh/sshd_config.d/50-lab.conf <<'EOF'
AuthorizedKeysFile .ssh/authorized_keys .ssh/authorized_keys.d/ignition
PasswordAuthentication yes
KbdInteractiveAuthentication yes
UseDNS no
MaxStartups 30:30:100
MaxSessions 100
EOF
rm -f /etc/ssh/ssh_host_*

# Name look-ups fail at once: nothing listens there.
echo 'nameserver 127.0.0.1' >/etc/resolv.conf.new
mv /etc/resolv.conf.new /etc/resolv.conf
printf '127.0.0.1 localhost\n::1 localhost\n' >/etc/hosts.new
mv /etc/hosts.new /etc/hosts
: >/etc/machine-id.new
mv /etc/machine-id.new /etc/machine-id
rm -f /etc/hostname /var/lib/dbus/machine-id

# What Ignition's selinux step asks for; Debian has no policy.
mkdir -p /etc/selinux/stub/contexts/files
echo 'SELINUXTYPE=stub' >/etc/selinux/config
: >/etc/selinux/stub/contexts/files/file_contexts
printf '#!/bin/sh\nexit 0\n' >/usr/sbin/setfiles
chmod 0755 /usr/sbin/setfiles

cat >/usr/lib/systemd/system/lab-links.service <<'EOF'
[Unit]
Description=Links to the lab host's disks by id, label and UUID (in place of udev)
DefaultDependencies=no

[Service]
Type=oneshot
ExecStart=/usr/lib/moorage-lab/links
EOF
# /usr/lib/moorage-lab/init adds one PathChanged= per disk.
cat >/usr/lib/systemd/system/lab-links.path <<'EOF'
[Unit]
Description=Watch the lab host's disks for new labels (in place of udev)

[Path]
Unit=lab-links.service
MakeDirectory=no

[Install]
WantedBy=multi-user.target
EOF

cat >/usr/lib/systemd/system/lab-sshd.service <<'EOF'
[Unit]
Description=Have the SSH server read its settings and host key again
After=ssh.service
StartLimitIntervalSec=0

[Service]
Type=oneshot
ExecStart=/usr/bin/systemctl try-reload-or-restart ssh.service
EOF
cat >/usr/lib/systemd/system/lab-sshd.path <<'EOF'
[Unit]
Description=Watch the SSH server's settings and host key (in place of a server for each connection)

[Path]
PathChanged=/etc/ssh/sshd_config.d
PathChanged=/etc/ssh/ssh_host_ed25519_key

[Install]
WantedBy=multi-user.target
EOF

# Where flatcar-install and coreos-install put a cloud-config, it is applied on every boot, as on Flatcar.
cat >/usr/lib/systemd/system/user-cloudinit@.service <<'EOF'
[Unit]
Description=Apply the cloud-config in %f
Before=user-config.target
ConditionFileNotEmpty=%f

[Service]
Type=oneshot
RemainAfterExit=yes
TimeoutSec=10min
EnvironmentFile=-/etc/environment
ExecStart=/usr/bin/coreos-cloudinit --from-file=%f
EOF
cat >/usr/lib/systemd/system/user-cloudinit@.path <<'EOF'
[Unit]
Description=Watch for a cloud-config in %f

[Path]
PathExists=%f
EOF
cat >/usr/lib/systemd/system/user-config.target <<'EOF'
[Unit]
Description=User data is applied
Requires=user-cloudinit@var-lib-flatcar\x2dinstall-user_data.path user-cloudinit@var-lib-coreos\x2dinstall-user_data.path
After=user-cloudinit@var-lib-flatcar\x2dinstall-user_data.path user-cloudinit@var-lib-coreos\x2dinstall-user_data.path

[Install]
WantedBy=multi-user.target
EOF
# What coreos-cloudinit adds the update strategy to.
mkdir -p /usr/share/coreos
echo 'GROUP=stable' >/usr/share/coreos/update.conf

# As Flatcar's unit has it: containers are in slices of systemd, whose limits hold.
echo 'DOCKER_OPTS="--exec-opt native.cgroupdriver=systemd"' >/etc/default/docker

# Keys that nobody brought are made at the first start, as on CoreOS; Debian's own condition asks for
# a machine without an id, which a container never is.
mkdir -p /etc/systemd/system/sshd-keygen.service.d
printf '[Unit]\nConditionFirstBoot=\n' >/etc/systemd/system/sshd-keygen.service.d/always.conf

# Only what a freshly installed CoreOS runs; Ignition's own presets come first (20-ignition.preset).
cat >/usr/lib/systemd/system-preset/80-lab.preset <<'EOF'
enable ssh.service
enable sshd-keygen.service
enable systemd-networkd.service
enable docker.socket
enable lab-links.path
enable lab-sshd.path
enable user-config.target
disable *
EOF
rm -rf /etc/systemd/system/*.wants
systemctl preset-all --root / >/dev/null 2>&1
systemctl mask --root / console-getty.service getty@tty1.service container-getty@.service \
  systemd-networkd-wait-online.service >/dev/null 2>&1

# Without setcap, which is no part of this, ping was given no capability; a new file, as the old one is shared with the cache.
cp /usr/bin/ping /usr/bin/ping.new
chmod 4755 /usr/bin/ping.new
mv /usr/bin/ping.new /usr/bin/ping

apt-get clean
rm -rf /var/lib/apt/lists/* /var/log/*.log /var/cache/debconf/*-old /usr/share/doc/* /usr/share/man/* \
  /usr/share/locale/* /etc/motd /etc/update-motd.d
mkdir -p /usr/lib/moorage-lab /var/lib/docker
