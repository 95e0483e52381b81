import {
  frontCheckName,
  frontWatchName,
  keepalivedStartName,
  renderFrontCheck,
  renderFrontWatch,
  renderKeepalivedStart,
} from "./front-check";
import {
  heartbeatName,
  renderHeartbeat,
  renderKeepalived,
  renderRouter,
  renderVipGuard,
  routerName,
  type KeepalivedArgs,
} from "./keepalived";
import { renderAlive, renderVrrpState, vrrpStateName } from "./keepalived-alive";
import type { ManagedFile, NodeFiles } from "./model";
import { renderUnit, unitCommand } from "./unit";

export interface KeepalivedFilesArgs extends Omit<KeepalivedArgs, "scriptFolder"> {
  /** `name@sha256:…`, or the id of an image that is loaded on the node. It has keepalived, sh and curl. */
  readonly image: string;
  /** Port the front is published on. @default 443 */
  readonly port?: number;
  /** Addresses of all other nodes. @default the peers */
  readonly witnesses?: readonly string[];
}

const folder = "/etc/moorage/keepalived";
const runFolder = "/run/moorage-keepalived";
const heartbeatPath = `${runFolder}/heartbeat`;
const guardPath = "/etc/moorage/vip-guard";
const alivePath = "/etc/moorage/keepalived-alive";
const container = "moorage-keepalived";

/** What keepalived needs of the host's network, and nothing else of the host. */
const capabilities = ["NET_ADMIN", "NET_RAW", "NET_BROADCAST", "SETUID", "SETGID"];

export const keepalivedUnit = "moorage-keepalived.service";
export const vipGuardUnit = "moorage-vip-guard.service";

/** keepalived as a unit around a container on the host's network, and the guard beside it. */
export function keepalivedFiles(args: KeepalivedFilesArgs): NodeFiles {
  const check = {
    port: args.port ?? 443,
    peers: args.peers,
    witnesses: args.witnesses ?? args.peers,
  };
  const conf = { ...args, scriptFolder: folder };
  // Without peers keepalived would speak to all of the network, and heed anybody. Nodes without one say nothing to it.
  const peers = args.peers.length > 0 ? args.peers : check.witnesses;
  const reload = { action: "reload", unit: keepalivedUnit } as const;
  return {
    files: {
      [`${folder}/${routerName}`]: {
        content: renderRouter({ ...conf, peers }),
        mode: 0o644,
        apply: reload,
        agreed: true,
      },
      [`${folder}/keepalived.conf`]: { content: renderKeepalived(conf), mode: 0o644, apply: reload },
      // A script is read anew each time it is run. With one that does not work keepalived should not be on every node.
      [`${folder}/${frontCheckName}`]: script(renderFrontCheck(check), reload),
      [`${folder}/${frontWatchName}`]: script(renderFrontWatch(check), reload),
      [`${folder}/${heartbeatName}`]: script(renderHeartbeat(heartbeatPath), reload),
      [`${folder}/${keepalivedStartName}`]: script(renderKeepalivedStart(folder), {
        action: "restart",
        unit: keepalivedUnit,
      }),
      [`${folder}/${vrrpStateName}`]: script(renderVrrpState(), { action: "none" }),
      [alivePath]: script(alive(args, check.port), { action: "none" }),
      [guardPath]: script(renderVipGuard({ ...args, heartbeatPath }), {
        action: "restart",
        unit: vipGuardUnit,
      }),
    },
    units: {
      [keepalivedUnit]: { content: serviceUnit(args), enabled: true },
      [vipGuardUnit]: { content: guardUnit(), enabled: true },
    },
  };
}

function alive({ interface: device }: KeepalivedFilesArgs, port: number): string {
  return renderAlive({
    container,
    interface: device,
    port,
    heartbeatPath,
    routerPath: `${folder}/${routerName}`,
    statePath: `${folder}/${vrrpStateName}`,
    checkPath: `${folder}/${frontCheckName}`,
  });
}

function script(content: string, apply: ManagedFile["apply"]): ManagedFile {
  return { content, mode: 0o755, apply };
}

function serviceUnit(args: KeepalivedFilesArgs): string {
  const prefix = args.prefixLength ?? 32;
  const removed = unitCommand(["docker", "rm", "--force", container]);
  // Whoever starts or reloads it is told whether it works, and not only that Docker was asked.
  const works = unitCommand(["/bin/sh", alivePath]);
  return renderUnit({
    Unit: {
      Description: `VIP ${args.vip} of the registry`,
      // Stopped with Docker, and started by it again: a restart loop would wake a Docker that someone has stopped.
      Requires: "docker.service",
      After: "docker.service network-online.target",
      Wants: "network-online.target",
      StartLimitIntervalSec: 0,
    },
    Service: {
      RuntimeDirectory: "moorage-keepalived",
      RuntimeDirectoryPreserve: true,
      TimeoutStartSec: "infinity",
      TimeoutStopSec: "20s",
      ExecStartPre: `-${removed}`,
      ExecStart: unitCommand(runCommand(args.image)),
      ExecStartPost: works,
      ExecReload: [
        // One that cannot be read is refused before keepalived forgets the one it has.
        unitCommand(["docker", "exec", container, "keepalived", "--config-test", ...configured]),
        unitCommand(["docker", "kill", "--signal", "HUP", container]),
        works,
      ],
      ExecStop: `-${unitCommand(["docker", "stop", "-t", "5", container])}`,
      ExecStopPost: [
        `-${removed}`,
        `-${unitCommand(["ip", "addr", "del", `${args.vip}/${prefix}`, "dev", args.interface])}`,
      ],
      Restart: "always",
      RestartSec: 1,
    },
    Install: { WantedBy: "multi-user.target docker.service" },
  });
}

const configured = ["--vrrp", "--use-file", `${folder}/keepalived.conf`];

function runCommand(image: string): string[] {
  return [
    "docker",
    "run",
    "--rm",
    "--name",
    container,
    "--log-driver",
    "none",
    "--network",
    "host",
    "--cap-drop",
    "ALL",
    ...capabilities.flatMap((capability) => ["--cap-add", capability]),
    // A holder that gets no time on a busy node is taken for dead.
    "--cpu-shares",
    "8192",
    "--memory",
    "128m",
    "--pids-limit",
    "128",
    "--read-only",
    "--tmpfs",
    "/run",
    "--tmpfs",
    "/tmp",
    // With the label by which SELinux lets containers read them.
    "--volume",
    `${folder}:${folder}:ro,z`,
    "--volume",
    `${runFolder}:${runFolder}:z`,
    "--entrypoint",
    `${folder}/${keepalivedStartName}`,
    image,
    "--dont-fork",
    "--log-console",
    ...configured,
  ];
}

function guardUnit(): string {
  return renderUnit({
    Unit: { Description: "Takes the VIP away when keepalived is gone or frozen" },
    Service: { ExecStart: unitCommand(["/bin/bash", guardPath]), Restart: "always", RestartSec: 1 },
    Install: { WantedBy: "multi-user.target" },
  });
}
