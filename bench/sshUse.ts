/** What an operation opened on the hosts over SSH, from the counts that each of its processes leaves. */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import type { SshStats } from "@moorage/hosts";
import { startTime, waitFor } from "../lab/exec";

/** One process of an operation. */
export interface SshUse extends SshStats {
  readonly pid: number;
}

const PROXY = "bin/docker-proxy-server.js";
/** Longer than a proxy stays when nobody uses it. */
const PROXY_END_MS = 60_000;

/** Runs `work`, which hands the folder to the processes it starts, and waits for the proxy that outlives it. */
export async function countSsh<T>(work: (folder: string) => Promise<T>): Promise<[T, SshUse[]]> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-bench-"));
  try {
    const result = await work(folder);
    const ended = () => Promise.resolve(readAll(folder).some(stillProxy) ? undefined : true);
    if (!(await waitFor(ended, PROXY_END_MS))) throw new Error("the proxy to the Swarm does not end");
    return [result, readAll(folder)];
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

function readAll(folder: string): SshUse[] {
  return fs.readdirSync(folder).map((file) => ({
    ...(JSON.parse(fs.readFileSync(path.join(folder, file), "utf8")) as SshStats),
    pid: parseInt(file, 10),
  }));
}

const stillProxy = ({ program, pid }: SshUse): boolean => program === PROXY && startTime(pid) !== undefined;

/** Who opened connections: the dynamic providers, the program itself, or the way of Docker's provider. */
export function nameOf({ program }: SshUse): string {
  if (program === PROXY) return "proxy";
  return program.startsWith("dynamic-provider/") ? "providers" : "program";
}

export const total = (uses: SshUse[], kind: "connections" | "commands" | "forwards"): number =>
  uses.reduce((sum, use) => sum + use[kind], 0);

/** The most connections that one process opened to one host. */
export const most = (uses: SshUse[]): number =>
  Math.max(0, ...uses.flatMap(({ byNode }) => Object.values(byNode)));
