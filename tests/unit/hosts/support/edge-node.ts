import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestServer } from "./ssh-server";
import { startServer, temporaryFolder } from "./stop";

/** Stands for `ip` on a node that has the address, or has not. */
export const ipTool = (address?: string): string =>
  `#!/bin/sh\n[ "$*" = "-o addr show to ${address ?? ""}" ] && echo "2: eth0    inet ${address ?? ""}/32 scope global eth0"\nexit 0\n`;

const sudo = '#!/bin/sh\nwhile [ "$1" = -n ] || [ "$1" = -- ]; do shift; done\nexec "$@"\n';

/** PATH of an edge node's commands. */
export function edgePath(address?: string): string {
  const folder = temporaryFolder();
  for (const [name, text] of Object.entries({ ip: ipTool(address), sudo })) {
    writeFileSync(join(folder, name), text);
    chmodSync(join(folder, name), 0o755);
  }
  return `${folder}:${process.env["PATH"] ?? ""}`;
}

export function startEdgeNode(node: string, address?: string): Promise<TestServer> {
  return startServer({ node, env: { PATH: edgePath(address) } });
}
