/** keepalived's configuration, and what takes the VIP off a node where it has died. */
import { frontCheckName } from "./front-check";
import { lines, word } from "./text";

export interface KeepalivedArgs {
  /** The node's name. */
  readonly node: string;
  readonly interface: string;
  /** The node's own address. */
  readonly address: string;
  readonly vip: string;
  /** Prefix length the VIP is set with; 32 keeps it from ever being chosen as a source address. @default 32 */
  readonly prefixLength?: number;
  /** Addresses of the other edge nodes. Without any, keepalived speaks by multicast, and heeds whoever does. */
  readonly peers: readonly string[];
  /** 1 to 254. Decides between nodes that start together only: who has the VIP keeps it. */
  readonly priority: number;
  /** 1 to 255, one for each VIP on a network. */
  readonly virtualRouterId: number;
  /** Seconds between two signs of life of the VIP's holder. @default 0.3 */
  readonly advertInterval?: number;
  /** Folder of the two scripts and of `renderRouter()`, as keepalived sees it. */
  readonly scriptFolder: string;
}

export const heartbeatName = "heartbeat";
export const routerName = "router.conf";

/** What nodes have to agree on to have one holder of the VIP: part of the configuration, in a file of its own. */
export function renderRouter(args: KeepalivedArgs): string {
  return `# What all nodes have to agree on, or more than one of them takes the VIP. It comes on all of them at once.
version 3
virtual_router_id ${args.virtualRouterId}
unicast_src_ip ${word(args.address, "address")}
unicast_peer {
${args.peers.map((peer) => `    ${word(peer, "peer")}\n`).join("")}}
virtual_ipaddress {
    ${word(args.vip, "VIP")}/${args.prefixLength ?? 32}
}
`;
}

/**
 * VRRP 3 has no passwords, and 2 sends them in clear: what keeps strangers out is the list of peers. A node that is cut
 * off takes the VIP too, until it sees that it is; the holder's ARP, each second, leads clients back from it.
 */
export function renderKeepalived(args: KeepalivedArgs): string {
  const device = word(args.interface, "interface");
  const folder = word(args.scriptFolder, "script folder");
  return `global_defs {
    router_id ${word(args.node, "node")}
    script_user root
    enable_script_security
    vrrp_check_unicast_src
    vrrp_garp_master_delay 1
    vrrp_garp_master_repeat 3
    vrrp_garp_master_refresh 1
}

vrrp_script front {
    script "${folder}/${frontCheckName}"
    interval 0.5
    timeout 8
    fall 1
    rise 3
    init_fail
}

# Proves to the guard outside that this keepalived is neither gone nor frozen; never a reason to move the VIP.
vrrp_script heartbeat {
    script "${folder}/${heartbeatName}"
    interval 0.5
    timeout 5
    fall 1000000
}

vrrp_instance registry {
    include ${folder}/${routerName}
    state BACKUP
    nopreempt
    interface ${device}
    priority ${args.priority}
    advert_int ${args.advertInterval ?? 0.3}
    track_script {
        front
        heartbeat
    }
}
`;
}

/** Writes the number of its own process, another one each time. */
export function renderHeartbeat(path: string): string {
  return lines(
    "#!/bin/sh",
    "# Run by keepalived: as long as this changes, keepalived is alive.",
    `echo "$$" > ${word(path, "heartbeat")}`,
  );
}

export interface VipGuardArgs {
  readonly interface: string;
  readonly vip: string;
  readonly prefixLength?: number;
  readonly heartbeatPath: string;
}

/**
 * Runs on the host itself. Peers take the VIP about a second after keepalived here fell silent, so this node has to be
 * without it soon after that.
 */
export function renderVipGuard(args: VipGuardArgs): string {
  const device = word(args.interface, "interface");
  const vip = word(args.vip, "VIP");
  return lines(
    "#!/bin/bash",
    "# Takes the VIP off this node when keepalived is gone or frozen, as another node has it by then.",
    "# Nobody writes to this pipe: to wait for it starts no process, four times each second.",
    "exec {nobody}<> <(:)",
    "last=",
    "silent=0",
    "while :; do",
    '    read -r -t 0.25 -u "$nobody" _',
    "    now=",
    `    { read -r now < ${word(args.heartbeatPath, "heartbeat")}; } 2>/dev/null`,
    '    if [ "$now" != "$last" ]; then',
    "        last=$now",
    "        silent=0",
    "        continue",
    "    fi",
    "    silent=$((silent + 1))",
    '    [ "$silent" -ge 8 ] || continue',
    "    silent=4",
    `    if [ -n "$(ip -o addr show dev ${device} to ${vip})" ]; then`,
    `        echo "keepalived has been silent for 2 s: taking ${vip} off ${device}"`,
    `        ip addr del ${vip}/${args.prefixLength ?? 32} dev ${device}`,
    "    fi",
    "done",
  );
}
