import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  documented,
  everyPort,
  linkLocal,
  openDatagramPorts,
  openPorts,
  refusingAtOnce,
  withLinkLocal,
} from "../../support/listeners";

/** Two hosts on a wire of their own, in networks that nothing else is in. */
const node = { netns: `moorage-unit-node-${process.pid}` };
const client = { netns: `moorage-unit-client-${process.pid}` };
const address = "10.99.0.1";
const ports = { refuses: 20_001, connects: 20_002, silent: 20_003, answers: 20_004 };

/** Listens on all addresses of both families: one port of TCP, one of UDP that says nothing, one that answers. */
const listens = `
const { connects, silent, answers } = ${JSON.stringify(ports)};
const dgram = require("node:dgram");
require("node:net").createServer((socket) => socket.destroy()).listen(connects, "::", () => {
  dgram.createSocket("udp6").bind(silent, () => {
    const echo = dgram.createSocket("udp6").bind(answers, () => console.log("listening"));
    echo.on("message", (text, from) => echo.send(text, from.port, from.address));
  });
});
`;

let program: ChildProcess;

const ip = (...args: string[]): void => {
  const { status, stderr } = spawnSync("ip", args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`ip ${args.join(" ")}: ${stderr}`);
};

beforeAll(async () => {
  for (const { netns } of [node, client]) ip("netns", "add", netns);
  ip("-n", node.netns, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", client.netns);
  // As the lab's clients have it: no address but the one they are given.
  ip("-n", client.netns, "link", "set", "eth0", "addrgenmode", "none");
  for (const { netns } of [node, client]) ip("-n", netns, "link", "set", "eth0", "up");
  ip("-n", node.netns, "addr", "add", `${address}/24`, "dev", "eth0");
  ip("-n", client.netns, "addr", "add", "10.99.0.2/24", "dev", "eth0");
  program = spawn("ip", ["netns", "exec", node.netns, process.execPath, "-e", listens], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (program.stdout) await once(program.stdout, "data");
});

afterAll(() => {
  program.kill("SIGKILL");
  for (const { netns } of [node, client]) ip("netns", "del", netns);
});

const found = (open: readonly { port: number }[]): number[] => open.map(({ port }) => port).sort();

describe("ports that are not closed", () => {
  test("are found by TCP where something takes connections", async () => {
    const wanted = { addresses: [address], ports: Object.values(ports) };
    expect(found(await openPorts(client, wanted))).toEqual([ports.connects]);
  });

  test("are found by UDP whether or not something answers there, among all that there are", async () => {
    const wanted = { addresses: [address], ports: everyPort };
    const open = await refusingAtOnce([node], () => openDatagramPorts(client, wanted));
    expect(found(open)).toEqual([ports.silent, ports.answers]);
  });

  test("are found at the address that a host gave itself, by a client that has none but for that time", async () => {
    expect(await linkLocal(client)).toBeUndefined();
    const own = await linkLocal(node);
    expect(own).toMatch(/^fe80::/);
    const wanted = { addresses: [`${own}%eth0`], ports: everyPort.slice(18_000, 21_000) };
    const [tcp, udp] = await withLinkLocal(client, () =>
      refusingAtOnce([node], () =>
        Promise.all([openPorts(client, wanted), openDatagramPorts(client, wanted)]),
      ),
    );
    expect(found(tcp)).toEqual([ports.connects]);
    expect(found(udp)).toEqual([ports.silent, ports.answers]);
    expect(await linkLocal(client)).toBeUndefined();
  });
});

test("a host says as seldom as before that a port is closed, once it was asked", async () => {
  const limits = (): string =>
    spawnSync(
      "ip",
      ["netns", "exec", node.netns, "sysctl", "net.ipv4.icmp_ratemask", "net.ipv6.icmp.ratemask"],
      {
        encoding: "utf8",
      },
    ).stdout;
  const before = limits();
  expect(before).toMatch(/icmp_ratemask = \d+\n.*ratemask = 0-1/);
  await expect(
    refusingAtOnce([node], () => {
      expect(limits()).not.toBe(before);
      return Promise.reject(new Error("broken off"));
    }),
  ).rejects.toThrow("broken off");
  expect(limits()).toBe(before);
});

test("docs/security.md says of a manager that it listens on more than others do", () => {
  expect(documented(true)).toEqual(expect.arrayContaining(["22/tcp", "2377/tcp", "4789/udp"]));
  expect(documented(true).filter((one) => !documented(false).includes(one))).toEqual([
    "2377/tcp",
    "2379/tcp",
    "2380/tcp",
  ]);
});
