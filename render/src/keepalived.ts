/** keepalived on an edge node: it holds the VIP where nginx works. */
import { asset } from "./asset";
import type { NodeFiles } from "./model";
import { lines, word } from "./text";
import { renderUnit, unitCommand } from "./unit";

export interface KeepalivedArgs {
  /** The node's name. */
  readonly node: string;
  /** `name@sha256:…`, or the id of an image that is loaded on the node. It has keepalived, sh and curl. */
  readonly image: string;
  readonly interface: string;
  /** The node's own address. */
  readonly address: string;
  readonly vip: string;
  /** Addresses of the other edge nodes. */
  readonly peers: readonly string[];
  /**
   * Addresses of the other nodes, VRRP's peers of the only edge node: without peers it would speak by multicast, and
   * obey anybody. They send nothing.
   */
  readonly others?: readonly string[];
  /** 1 to 254. Decides between nodes that start together; otherwise the holder keeps the VIP. */
  readonly priority: number;
  /** 1 to 255, one for each VIP on a network. */
  readonly virtualRouterId: number;
  /** Port nginx is published on. @default 443 */
  readonly port?: number;
}

const service = "moorage-keepalived.service";
const container = "moorage-keepalived";
const folder = "/etc/moorage/keepalived";
const configuration = `${folder}/keepalived.conf`;

/** What keepalived needs of the host's network. */
const capabilities = ["NET_ADMIN", "NET_RAW", "NET_BROADCAST", "SETUID", "SETGID"];

/** A prefix length of 32 keeps the VIP from being chosen as a source address. */
const vipWithPrefix = (vip: string): string => `${word(vip, "VIP")}/32`;

/** keepalived as a unit around a container on the host's network. */
export function keepalivedFiles(args: KeepalivedArgs): NodeFiles {
  const reload = { action: "reload", unit: service } as const;
  const none = { action: "none" } as const;
  return {
    files: {
      [`${folder}/router.conf`]: { content: router(args), mode: 0o644, apply: reload, agreed: true },
      [`${folder}/node.conf`]: { content: nodeSettings(args), mode: 0o644, apply: reload },
      [configuration]: { content: asset("keepalived/keepalived.conf"), mode: 0o644, apply: reload },
      // Read each time it runs.
      [`${folder}/check.env`]: { content: checkSettings(args), mode: 0o644, apply: none },
      [`${folder}/check.sh`]: { content: asset("keepalived/check.sh"), mode: 0o755, apply: none },
    },
    units: { [service]: { content: unit(args), enabled: true } },
  };
}

/** VRRP 3 has no passwords, and 2 sends them in clear: the list of peers keeps strangers out. */
function router(args: KeepalivedArgs): string {
  const peers = args.peers.length > 0 ? args.peers : (args.others ?? []);
  return lines(
    "# What all nodes have to agree on, or more than one of them takes the VIP. It comes on all of them at once.",
    "version 3",
    `virtual_router_id ${args.virtualRouterId}`,
    `unicast_src_ip ${word(args.address, "address")}`,
    "unicast_peer {",
    ...peers.map((peer) => `    ${word(peer, "peer")}`),
    "}",
    "virtual_ipaddress {",
    `    ${vipWithPrefix(args.vip)}`,
    "}",
  );
}

function nodeSettings(args: KeepalivedArgs): string {
  return lines(
    `$NODE=${word(args.node, "node")}`,
    `$INTERFACE=${word(args.interface, "interface")}`,
    `$PRIORITY=${args.priority}`,
  );
}

function checkSettings({ peers, port = 443 }: KeepalivedArgs): string {
  const addresses = peers.map((peer) => word(peer, "peer")).join();
  return lines(`PORT=${port}`, `PEERS=${addresses}`, "TIMEOUT=1", "REGISTRY_TIMEOUT=2");
}

function unit(args: KeepalivedArgs): string {
  const configured = ["--vrrp", "--use-file", configuration];
  return renderUnit({
    Unit: {
      Description: `VIP ${args.vip} of the registry`,
      // Stops and starts with Docker: a restart loop would start a Docker that was stopped on purpose.
      Requires: "docker.service",
      After: "docker.service network-online.target",
      Wants: "network-online.target",
      StartLimitIntervalSec: 0,
    },
    Service: {
      TimeoutStopSec: "20s",
      ExecStartPre: `-${unitCommand(["docker", "rm", "--force", container])}`,
      ExecStart: unitCommand([...runCommand, args.image, "--dont-fork", "--log-console", ...configured]),
      ExecReload: [
        // Refuses a configuration that keepalived cannot read before it forgets the one it has.
        unitCommand(["docker", "exec", container, "keepalived", "--config-test", ...configured]),
        unitCommand(["docker", "kill", "--signal", "HUP", container]),
      ],
      ExecStop: `-${unitCommand(["docker", "stop", "-t", "5", container])}`,
      // A keepalived that was killed leaves the VIP behind. A Docker that hangs must not keep it there.
      ExecStopPost: [
        `-${unitCommand(["timeout", "10", "docker", "rm", "--force", container])}`,
        `-${unitCommand(["ip", "addr", "del", vipWithPrefix(args.vip), "dev", args.interface])}`,
      ],
      Restart: "always",
      RestartSec: 1,
    },
    Install: { WantedBy: "multi-user.target docker.service" },
  });
}

const runCommand = [
  ...["docker", "run", "--rm", "--name", container, "--log-driver", "none", "--network", "host"],
  ...["--cap-drop", "ALL", ...capabilities.flatMap((capability) => ["--cap-add", capability])],
  // A holder that gets no time on a busy node is taken for dead.
  ...["--cpu-shares", "8192", "--memory", "128m", "--pids-limit", "128"],
  ...["--read-only", "--tmpfs", "/run", "--tmpfs", "/tmp"],
  // With the label by which SELinux lets containers read it.
  ...["--volume", `${folder}:${folder}:ro,z`],
  ...["--entrypoint", "keepalived"],
];
