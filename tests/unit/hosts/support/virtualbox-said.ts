/**
 * What VirtualBox has printed, each as it stands at a public place that is named; lines that nothing here is about are
 * left out, and nothing is changed. What the versions have in common is in
 * https://github.com/VirtualBox/virtualbox, src/VBox/Frontends/VBoxManage (VBoxManageInfo.cpp, VBoxManageNATNetwork.cpp).
 */

/** `showvminfo --machinereadable` of 6.0 on Windows, 2019: https://github.com/hashicorp/vagrant/issues/11174 */
export const info60 = String.raw`name="gitlab"
UUID="7163bae0-5075-49fc-b3a7-b2831c06aa40"
CfgFile="F:\\VirtualBox VMs\\gitlab\\gitlab.vbox"
memory=1024
VMState="running"
`.replaceAll("\n", "\r\n");

/**
 * Of 7.0 on Linux, 2023, with lines that are no `key=value`:
 * https://github.com/yunielrc/vedv, dist/test/lib/vedv/utils.bats
 */
export const info70 = String.raw`name="manjaro-gnome-x64-full-clean"
Encryption:     disabled
memory=4096
firmware="BIOS"
cpus=4
boot1="dvd"
boot2="disk"
boot3="none"
boot4="none"
ioapic="on"
BIOS NVRAM File="/home/user/VirtualBox VMs/manjaro-gnome-x64-full-clean/manjaro-gnome-x64-full-clean.nvram"
rtcuseutc="on"
VMState="poweroff"
storagecontrollername1="SATA"
storagecontrollertype1="IntelAhci"
storagecontrollerportcount1="1"
storagecontrollerbootable1="on"
"IDE-1-0"="emptydrive"
"IDE-1-1"="none"
"SATA-0-0"="/home/user/VirtualBox VMs/manjaro-gnome-x64-full-clean/manjaro-gnome-x64-full-clean-disk001.vdi"
macaddress1="08002744D7F6"
cableconnected1="on"
nic1="nat"
nictype1="82540EM"
audio="default"
usb="on"
ehci="on"
xhci="off"
 rec_screen0
rec_screen_enabled="on"
description="name1=value1
name2=value2"
GuestMemoryBalloon=0
`;

/**
 * Of 7.2.18 on Windows, 2026: https://github.com/fabrint96-ship-it/AD-Lab,
 * evidence/B1/HOST/HOST-B1-Virtual-Machines.md (the version is in HOST-B1-VirtualBox-Baseline.md beside it)
 */
export const info72 = `name="DC01"
ostype="Windows Server 2025 (64-bit)"
memory=3072
cpus=2
nat-network1="AD-LAB-NET"
nic1="natnetwork"
`;

/**
 * `list natnets` up to 6.1: https://github.com/chef/ohai, spec/unit/plugins/virtualbox_spec.rb (2019). That 7.0 renamed
 * its lines is said at https://github.com/cloudfoundry/bosh-deployment/issues/444
 */
export const networks61 = `NetworkName:    NatNetwork
IP:             10.0.2.1
Network:        10.0.2.0/24
IPv6 Enabled:   No
IPv6 Prefix:    fd17:625c:f037:2::/64
DHCP Enabled:   Yes
Enabled:        Yes
loopback mappings (ipv4)
        127.0.0.1=2

`;

/** `natnetwork list` of 7.0, 2023: https://github.com/cloudfoundry/bosh-deployment/issues/444 */
export const networks70 = `NAT Networks:

Name:         NatNetwork
Network:      10.0.2.0/24
Gateway:      10.0.2.1
DHCP Server:  Yes
IPv6:         No
IPv6 Prefix:  fd17:625c:f037:2::/64
IPv6 Default: No
Enabled:      Yes

1 network found
`;

/** The same of 7.2.4, 2025: https://github.com/VirtualBox/virtualbox/issues/447 */
export const networks72 = `NAT Networks:

Name:         aos-network-aos-test-s1
Enabled:      Yes
Network:      10.0.0.0/24
Gateway:      10.0.0.1
DHCP Server:  Yes
IPv6:         No
IPv6 Prefix:  fd17:625c:f037:2::/64
IPv6 Default: No
Port-forwarding (ipv4)
        mainssh:tcp:[]:8737:[10.0.0.100]:22
loopback mappings (ipv4)
        127.0.0.1=2

1 network found
`;

/** `showhdinfo`, which is `showmediuminfo` by now: https://github.com/BOINC/boinc, samples/vboxwrapper/vbox_vboxmanage.cpp */
export const medium = String.raw`UUID:           c119bcaf-636c-41f6-86c9-384739a31339
Parent UUID:    base
State:          created
Type:           multiattach
Location:       C:\Users\romw\VirtualBox VMs\test2\test2.vdi
Storage format: VDI
Format variant: dynamic default
Capacity:       2048 MBytes
Size on disk:   2 MBytes
Encryption:     disabled
Property:       AllocationBlockSize=1048576
Child UUIDs:    dcb0daa5-3bf9-47cb-bfff-c65e74484615
`;

/**
 * `list systemproperties` of 7.2.18: https://github.com/fabrint96-ship-it/AD-Lab,
 * evidence/B1/HOST/HOST-B1-VirtualBox-Baseline.md
 */
export const properties72 = String.raw`Default machine folder: D:\Labs\AD-Lab\VirtualMachines
`;
