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

/** A port that is not closed: it took a connection, or did not refuse a datagram. */
export interface OpenPort {
  readonly address: string;
  readonly port: number;
}

/** What is tried: each address with each port. IPv6's may have a link's name, as in `fe80::1%eth0`. */
export interface Wanted {
  readonly addresses: readonly string[];
  readonly ports: readonly number[];
}

export const everyPort: readonly number[] = Array.from({ length: 65_535 }, (_, at) => at + 1);

/**
 * Runs in the host's network, so it is text. Of TCP a port that says nothing for a second is closed; of UDP one is open
 * that says nothing, as what listens there need not answer, and closed alone where its host says so.
 */
const script = `
const net = require("node:net");
const dgram = require("node:dgram");
const { protocol, addresses, ports } = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const left = addresses.flatMap((address) => ports.map((port) => ({ address, port }))).reverse();
const open = [];
let busy = 0;
const ways = {
  tcp({ address, port }, end) {
    const socket = net.connect({ host: address, port });
    socket.setTimeout(1000, () => end(false)).once("connect", () => end(true)).once("error", () => end(false));
    return () => socket.removeAllListeners().on("error", () => undefined).destroy();
  },
  udp({ address, port }, end) {
    const socket = dgram.createSocket(net.isIPv6(address) ? "udp6" : "udp4");
    let tries = 0;
    let timer;
    const send = () => {
      if (tries++ === 3) return end(true);
      timer = setTimeout(send, 700);
      socket.send("?");
    };
    socket.once("message", () => end(true)).once("connect", send);
    socket.once("error", ({ code }) => end(code !== "ECONNREFUSED")).connect(port, address);
    return () => {
      clearTimeout(timer);
      socket.removeAllListeners().on("error", () => undefined).close();
    };
  },
};
function next() {
  while (busy < 500 && left.length > 0) {
    const one = left.pop();
    busy += 1;
    let over = false;
    const close = ways[protocol](one, (found) => {
      if (over) return;
      over = true;
      if (found) open.push(one);
      close();
      busy -= 1;
      setImmediate(next);
    });
  }
  if (busy === 0) process.stdout.write(JSON.stringify(open)), process.exit(0);
}
next();
`;

async function tried(
  protocol: "tcp" | "udp",
  from: Pick<Host, "netns">,
  wanted: Wanted,
): Promise<OpenPort[]> {
  const inside = ["netns", "exec", from.netns, process.execPath, "-e", script];
  const input = JSON.stringify({ protocol, ...wanted });
  return JSON.parse(await must("ip", inside, { input, timeoutMs: 300_000 })) as OpenPort[];
}

/** Tries TCP ports from inside a lab host's own network, and from nowhere else. */
export const openPorts = (from: Pick<Host, "netns">, wanted: Wanted): Promise<OpenPort[]> =>
  tried("tcp", from, wanted);

/** The same with UDP, where the hosts that are asked refuse at once: `refusingAtOnce`. */
export const openDatagramPorts = (from: Pick<Host, "netns">, wanted: Wanted): Promise<OpenPort[]> =>
  tried("udp", from, wanted);

/** The mask of what a kernel says no more often than some times a second; that a port is closed is in it by default. */
const limited: Readonly<Record<string, string>> = {
  "net.ipv4.icmp_ratemask": "0",
  // The number of a type that there is not.
  "net.ipv6.icmp.ratemask": "0",
};

/** While `work` lasts hosts say of each closed port that it is closed, however many are asked for in a second. */
export async function refusingAtOnce<T>(
  hosts: readonly Pick<Host, "netns">[],
  work: () => Promise<T>,
): Promise<T> {
  const inside = ({ netns }: Pick<Host, "netns">, ...command: string[]): Promise<string> =>
    must("ip", ["netns", "exec", netns, "sysctl", ...command]);
  const before: (() => Promise<string>)[] = [];
  try {
    for (const host of hosts) {
      for (const [name, value] of Object.entries(limited)) {
        const former = (await inside(host, "-n", name)).trim();
        before.push(() => inside(host, "-qw", `${name}=${former}`));
        await inside(host, "-qw", `${name}=${value}`);
      }
    }
    return await work();
  } finally {
    for (const restore of before) await restore();
  }
}

/** The address that a host has given itself on a link, if any. */
export async function linkLocal({ netns }: Pick<Host, "netns">, link = "eth0"): Promise<string | undefined> {
  const shown = await must("ip", ["-n", netns, "-6", "-j", "addr", "show", "dev", link, "scope", "link"]);
  const found = JSON.parse(shown.trim() || "[]") as { addr_info?: { local?: string }[] }[];
  return found.flatMap(({ addr_info = [] }) => addr_info).find(({ local }) => local)?.local;
}

/** While `work` lasts a host has an address of IPv6's on a link, as every host but the lab's clients gives itself. */
export async function withLinkLocal<T>(
  { netns }: Pick<Host, "netns">,
  work: () => Promise<T>,
  link = "eth0",
): Promise<T> {
  const change = (verb: string, ...more: string[]): Promise<string> =>
    must("ip", ["-n", netns, "addr", verb, "fe80::c11e:47/64", "dev", link, ...more]);
  await change("add", "nodad");
  try {
    return await work();
  } finally {
    await change("del");
  }
}
