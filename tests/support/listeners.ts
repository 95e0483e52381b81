import * as fs from "node:fs";
import * as path from "node:path";
import { must } from "../../lab/exec";
import { checkout, type Host } from "../../lab/instance";

/** What docs/security.md says that a node of the lab listens on, as `443/tcp`. All of them are edge nodes. */
export function documented(isManager: boolean): string[] {
  const text = fs.readFileSync(path.join(checkout(), "docs/security.md"), "utf8");
  const section = text.slice(text.indexOf("## Listeners"), text.indexOf("## The front"));
  const rows = section.split("\n").filter((line) => /^\| .*\d+\/(tcp|udp)/.test(line));
  return rows.flatMap((row) => {
    const [, , ports = "", where = ""] = row.split("|").map((cell) => cell.trim());
    const here = where !== "managers" || isManager;
    return here ? [...ports.matchAll(/\d+\/(?:tcp|udp)/g)].map(([port]) => port) : [];
  });
}

/** A port that took a connection. */
export interface OpenPort {
  readonly address: string;
  readonly port: number;
}

/** What is tried: each address with each port. */
export interface Wanted {
  readonly addresses: readonly string[];
  readonly ports: readonly number[];
}

export const everyPort: readonly number[] = Array.from({ length: 65_535 }, (_, at) => at + 1);

/** Runs in the host's network, so it is text. A port that says nothing for a second is closed. */
const script = `
const net = require("node:net");
const { addresses, ports } = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const left = addresses.flatMap((address) => ports.map((port) => ({ address, port }))).reverse();
const open = [];
let busy = 0;
function next() {
  while (busy < 500 && left.length > 0) {
    const one = left.pop();
    busy += 1;
    const socket = net.connect({ host: one.address, port: one.port });
    const end = (found) => () => {
      if (found) open.push(one);
      socket.removeAllListeners();
      socket.on("error", () => undefined).destroy();
      busy -= 1;
      setImmediate(next);
    };
    socket.setTimeout(1000, end(false)).once("connect", end(true)).once("error", end(false));
  }
  if (busy === 0) process.stdout.write(JSON.stringify(open)), process.exit(0);
}
next();
`;

/** Tries TCP ports from inside a lab host's own network, and from nowhere else. */
export async function openPorts(from: Host, wanted: Wanted): Promise<OpenPort[]> {
  const inside = ["netns", "exec", from.netns, process.execPath, "-e", script];
  const found = await must("ip", inside, { input: JSON.stringify(wanted), timeoutMs: 300_000 });
  return JSON.parse(found) as OpenPort[];
}
