/** cloud-config as coreos-cloudinit takes it: Flatcar with underscores in its keys, Container Linux with hyphens. */
import { networkdFolder } from "../network/networkd";
import type { ContainerLinuxModel, Etcd2Model } from "../model";
import { renderUnit } from "../unit";
import type { DescribedFile, DescribedUnit, DescribedUser, NodeDescription } from "./description";
import { renderYaml, type YamlMap } from "./yaml";

/** The user whom every one of these distributions has, with its groups. */
const standardUser = "core";

export function renderCloudConfig(node: NodeDescription): string {
  const core = node.users.find(({ name }) => name === standardUser);
  const others = node.users.filter((user) => user !== core);
  const config: YamlMap = {
    hostname: node.hostname,
    ssh_authorized_keys: core?.sshAuthorizedKeys ?? [],
    users: [...(core?.passwordHash === undefined ? [] : [passwordOnly(core)]), ...others.map(user)],
    coreos: inDialect(node, {
      ...ownSections(node.containerLinux ?? {}),
      update: { reboot_strategy: node.updateStrategy },
      units: units(node),
    }),
    write_files: node.files.filter((file) => !isNetworkFile(file)).map(file),
  };
  return `#cloud-config\n${renderYaml(withoutEmpty(config))}`;
}

function withoutEmpty(map: YamlMap): YamlMap {
  return Object.fromEntries(
    Object.entries(map).filter(([, value]) => !(Array.isArray(value) && value.length === 0)),
  );
}

function passwordOnly({ name, passwordHash }: DescribedUser): YamlMap {
  return { name, passwd: passwordHash };
}

function user({ name, passwordHash, groups, sshAuthorizedKeys }: DescribedUser): YamlMap {
  return withoutEmpty({ name, passwd: passwordHash, groups, ssh_authorized_keys: sshAuthorizedKeys });
}

function file({ path, mode, owner, content }: DescribedFile): YamlMap {
  // As text: what reads this takes the digits of a number for octal ones, whatever number was meant.
  return { path, permissions: permissions(mode), owner: owner ?? "root:root", content };
}

export function permissions(mode: number): string {
  return mode.toString(8).padStart(4, "0");
}

/** As units, networkd's files make it start anew, which it has to for the network to be there on the first boot. */
function isNetworkFile({ path }: DescribedFile): boolean {
  return path.startsWith(`${networkdFolder}/`);
}

function units(node: NodeDescription): YamlMap[] {
  return [
    ...node.files.filter(isNetworkFile).map(({ path, content }) => ({
      name: path.slice(networkdFolder.length + 1),
      // Container Linux writes its user data anew on every boot: what left it is gone then.
      ...(node.distribution === "coreos" ? { runtime: true } : {}),
      content,
    })),
    ...(node.timeZone === undefined ? [] : [unit(timeZoneUnit(node.timeZone))]),
    ...node.units.filter(({ enabled }) => enabled !== false).map(unit),
    // Commands end at the first that fails, as a stop does where there is no such unit: it takes no other with it.
    ...node.units.filter(({ enabled }) => enabled === false).map(unit),
  ];
}

function timeZoneUnit(timeZone: string): DescribedUnit {
  const content = renderUnit({
    Unit: { Description: "Sets the time zone" },
    Service: {
      Type: "oneshot",
      RemainAfterExit: true,
      ExecStart: `/usr/bin/timedatectl set-timezone ${timeZone}`,
    },
  });
  return { name: "settimezone.service", content, dropIns: [], started: true };
}

/** No key takes a unit's enablement away, as Ignition's `enabled` does; but it is stopped, and at every boot. */
function unit({ name, content, dropIns, enabled, started }: DescribedUnit): YamlMap {
  return withoutEmpty({
    name,
    enable: enabled === true ? true : undefined,
    command: enabled === false ? "stop" : startOf({ enabled, started, content }),
    content,
    drop_ins: dropIns.map((dropIn) => ({ name: dropIn.name, content: dropIn.content })),
  });
}

function startOf({ enabled, started, content }: Partial<DescribedUnit>): string | undefined {
  return (enabled || started) && !waitsForUserData(content) ? "start" : undefined;
}

/** Starting such a unit from user data would wait for it, and it for the user data: neither would ever end. */
function waitsForUserData(content: string | undefined): boolean {
  return content !== undefined && /^After=.*\buser-config\.target\b/m.test(content);
}

function ownSections({ etcd2, fleet, flannel }: ContainerLinuxModel): YamlMap {
  return {
    etcd2: etcd2 && etcdSection(etcd2),
    fleet: fleet && { public_ip: fleet.publicIp, metadata: fleet.metadata },
    flannel: flannel && { interface: flannel.interface },
  };
}

function etcdSection(etcd: Etcd2Model): YamlMap {
  return {
    discovery: etcd.discovery,
    discovery_proxy: etcd.discoveryProxy,
    advertise_client_urls: etcd.advertiseClientUrls.join(","),
    initial_advertise_peer_urls: etcd.initialAdvertisePeerUrls.join(","),
    listen_client_urls: etcd.listenClientUrls.join(","),
    listen_peer_urls: etcd.listenPeerUrls.join(","),
  };
}

/** Flatcar passes over keys with hyphens without a word; Container Linux's own are written with them. */
function inDialect(node: NodeDescription, section: YamlMap): YamlMap {
  return node.distribution === "coreos" ? hyphenated(section) : section;
}

function hyphenated(map: YamlMap): YamlMap {
  return Object.fromEntries(
    Object.entries(map).map(([key, value]) => [
      key.replaceAll("_", "-"),
      Array.isArray(value)
        ? value.map((item: YamlMap) => hyphenated(item))
        : typeof value === "object"
          ? hyphenated(value as YamlMap)
          : value,
    ]),
  );
}
