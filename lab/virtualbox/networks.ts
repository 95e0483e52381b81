/** Part of the STAND-IN for VBoxManage: NAT networks. */
import { parse } from "./arguments";
import { wrong } from "./failure";
import type { Guests } from "./guests";
import type { Home, Network, Rule } from "./state";

const OPTIONS = new Set([
  "--netname",
  "--network",
  "--enable",
  "--disable",
  "--dhcp",
  "--ipv6",
  "--port-forward-",
]);

export async function natnetwork(home: Home, guests: Guests, args: readonly string[]): Promise<string> {
  const [verb = "", ...rest] = args;
  if (verb === "list") return list(home);
  const { options, value } = parse(rest, ["enable", "disable"], OPTIONS);
  const name = value("netname");
  if (!name) throw wrong("You need to specify the --netname option");
  await home.change(async (state) => {
    const known = state.networks.find((one) => one.name === name);
    if (verb === "add") {
      if (known)
        throw wrong(worded(home, `NAT network '${name}' already exists`, "NATNetwork server already exists"));
      const prefix = value("network");
      if (!prefix) throw wrong("You need to specify the --network option");
      const network = { name, prefix, enabled: true, dhcp: false, started: false, rules: [] };
      change(network, options);
      state.networks.push(network);
    } else if (!known)
      throw wrong(worded(home, `NAT network '${name}' not found`, "NATNetwork server does not exist"));
    else if (verb === "modify") change(known, options);
    else if (verb === "start") known.started = true;
    else if (verb === "stop") known.started = false;
    else if (verb === "remove") state.networks.splice(state.networks.indexOf(known), 1);
    else throw wrong(`Invalid parameter '${verb}'`);
    await guests.connect(state.networks);
  });
  return "";
}

/**
 * It has other words by now, in VBoxManageNATNetwork.cpp of https://github.com/VirtualBox/virtualbox as of June 2026 (7.2.18);
 * that of 7.2.10 has the former ones (https://github.com/AOSC-Tracking/virtualbox).
 */
const isReworded = (home: Home): boolean => home.isSince(7, 2, 18);

const worded = (home: Home, since: string, before: string): string => (isReworded(home) ? since : before);

/** What is said beside it, on standard error, by a call that does what it is told. */
export function warningOf(home: Home, [verb, ...args]: readonly string[]): string {
  if (verb === "list" || !args.includes("--netname") || !isReworded(home)) return "";
  return (
    "VBoxManage: warning: The --netname option is deprecated and will be removed in a future version. " +
    "Specify the NAT network name immediately after the command instead.\n"
  );
}

function change(network: Network, options: readonly (readonly [string, string])[]): void {
  for (const [option, value] of options) {
    if (option === "network") network.prefix = value;
    if (option === "enable") network.enabled = true;
    if (option === "disable") network.enabled = false;
    if (option === "dhcp") network.dhcp = value === "on";
    if (option !== "portforward4") continue;
    // Deletions run before additions.
    const name = /^delete (.*)$/.exec(value)?.[1];
    if (name === undefined) continue;
    if (!network.rules.some((rule) => rule.name === name)) throw wrong("Failed to delete pf");
    network.rules = network.rules.filter((rule) => rule.name !== name);
  }
  for (const [option, value] of options) {
    if (option !== "portforward4" || value.startsWith("delete ")) continue;
    const rule = ruleOf(value);
    if (network.rules.some((one) => one.name === rule.name || one.hostPort === rule.hostPort))
      throw wrong("Failed to add pf");
    network.rules.push(rule);
  }
}

function ruleOf(text: string): Rule {
  const found = /^([^:]*):(tcp|udp):\[([^\]]*)\]:(\d+):\[([^\]]*)\]:(\d+)$/.exec(text);
  if (!found) throw wrong(`Invalid port-forward rule ${text}`);
  const [, name = "", protocol = "", hostAddress = "", hostPort, guestAddress = "", guestPort] = found;
  return {
    name,
    protocol,
    hostAddress,
    hostPort: Number(hostPort),
    guestAddress,
    guestPort: Number(guestPort),
  };
}

const yes = (value: boolean): string => (value ? "Yes" : "No");

const gateway = (prefix: string): string => prefix.replace(/\.\d+\/\d+$/, ".1");

function forwards({ rules }: Network): string[] {
  if (rules.length === 0) return [];
  const lines = rules.map(
    (rule) =>
      `        ${rule.name}:${rule.protocol}:[${rule.hostAddress}]:${rule.hostPort}:[${rule.guestAddress}]:${rule.guestPort}`,
  );
  return ["Port-forwarding (ipv4)", ...lines];
}

/** What both listings say since 7.0. */
function prefixes({ prefix, dhcp }: Network): string[] {
  return [
    `Network:      ${prefix}`,
    `Gateway:      ${gateway(prefix)}`,
    `DHCP Server:  ${yes(dhcp)}`,
    "IPv6:         No",
    "IPv6 Prefix:  fd17:625c:f037:2::/64",
    "IPv6 Default: No",
  ];
}

/**
 * The first of 7.0 say last whether a network is enabled, and nothing of loopback mappings; from 7.0.14 on it is as in 7.2
 * (VBoxManageNATNetwork.cpp in https://github.com/cyberus-technology/virtualbox-kvm).
 */
function inLong(home: Home, one: Network): string[] {
  const later = home.isSince(7, 0, 14);
  const enabled = [`Enabled:      ${yes(one.enabled)}`];
  return [
    `Name:         ${one.name}`,
    ...(later ? enabled : []),
    ...prefixes(one),
    ...(later ? [] : enabled),
    ...forwards(one),
    ...(later
      ? [worded(home, "Loopback mappings (ipv4)", "loopback mappings (ipv4)"), "        127.0.0.1=2"]
      : []),
  ];
}

/** `natnetwork list`; up to 6.1 it leaves out DHCP and the forwards. */
function list(home: Home): string {
  const { networks } = home.read();
  const blocks = networks.map((one) =>
    home.major >= 7
      ? inLong(home, one)
      : [
          `Name:        ${one.name}`,
          `Network:     ${one.prefix}`,
          `Gateway:     ${gateway(one.prefix)}`,
          "IPv6:        No",
          `Enabled:     ${yes(one.enabled)}`,
        ],
  );
  const text = blocks.map((lines) => `${lines.join("\n")}\n\n`).join("");
  return `NAT Networks:\n\n${text}${networks.length} ${networks.length === 1 ? "network" : "networks"} found\n`;
}

/** `list natnetworks`: with forwards up to 6.1, short since 7.0. */
export function listNatNetworks(home: Home): string {
  const blocks = home
    .read()
    .networks.map((one) =>
      home.major >= 7
        ? [`Name:         ${one.name}`, ...prefixes(one)]
        : [
            `NetworkName:    ${one.name}`,
            `IP:             ${gateway(one.prefix)}`,
            `Network:        ${one.prefix}`,
            "IPv6 Enabled:   No",
            "IPv6 Prefix:    fd17:625c:f037:2::/64",
            `DHCP Enabled:   ${yes(one.dhcp)}`,
            `Enabled:        ${yes(one.enabled)}`,
            ...forwards(one),
            "loopback mappings (ipv4)",
            "        127.0.0.1=2",
          ],
    );
  return blocks.map((lines) => `${lines.join("\n")}\n\n`).join("");
}
