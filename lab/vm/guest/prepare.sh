#!/bin/bash
# Runs inside a copy of the lab hosts' base (chroot) and adds what a machine of its own needs: Debian's kernel
# with its modules, and udev. Leaves /boot/vmlinuz, and /boot/modules.order with the files of the modules that
# the initramfs loads.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
INITRAMFS_MODULES=(virtio_pci virtio_blk ext4)

apt-get -q update
apt-get -qy install --no-install-recommends udev

# Unpacked, not installed: its scripts would make an initramfs with tools that nothing else here needs.
package=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p')
work=$(mktemp -d)
chmod 755 "$work"
(cd "$work" && apt-get -q download "$package" && dpkg-deb -x ./"$package"_*.deb tree)
version=${package#linux-image-}
mkdir -p /usr/lib/modules
mv "$work"/tree/usr/lib/modules/"$version" /usr/lib/modules/
mv "$work/tree/boot/vmlinuz-$version" /boot/vmlinuz
rm -rf "$work"
depmod "$version"
for module in "${INITRAMFS_MODULES[@]}"; do
  modprobe --set-version "$version" --show-depends "$module" | sed -n 's/^insmod \([^ ]*\).*/\1/p'
done | awk '!seen[$0]++' >/boot/modules.order

# Links to disks are made by udev here, and nothing else is asked for a console.
rm -f /etc/systemd/system/multi-user.target.wants/lab-links.path

apt-get clean
rm -rf /var/lib/apt/lists/* /var/log/*.log /var/log/apt /usr/share/doc/* /usr/share/man/* /usr/share/locale/*
