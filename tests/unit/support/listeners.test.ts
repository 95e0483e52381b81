/** A scan that misses an open port would make the test of a lab's listeners prove nothing. */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openDatagramPorts, openPorts, refusingAtOnce } from "../../support/listeners";

/** Two hosts on a wire of their own, in networks that nothing else is in. */
const node = { netns: `moorage-unit-node-${process.pid}` };
const client = { netns: `moorage-unit-client-${process.pid}` };
const address = "10.99.0.1";

/** Listens on one port of TCP, one of UDP that never answers, and one that does, and prints the three. */
const listens = `
const dgram = require("node:dgram");
const tcp = require("node:net").createServer((socket) => socket.destroy()).listen(0, () => {
  const silent = dgram.createSocket("udp4").bind(0, () => {
    const answers = dgram.createSocket("udp4").bind(0, () =>
      console.log(JSON.stringify([tcp, silent, answers].map((one) => one.address().port))));
    answers.on("message", (text, from) => answers.send(text, from.port, from.address));
  });
});
`;

let program: ChildProcess;
let tcp: number, silent: number, answers: number;

const ip = (...args: string[]): void => {
  const { status, stderr } = spawnSync("ip", args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`ip ${args.join(" ")}: ${stderr}`);
};

beforeAll(async () => {
  for (const { netns } of [node, client]) ip("netns", "add", netns);
  ip("-n", node.netns, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", client.netns);
  for (const { netns } of [node, client]) ip("-n", netns, "link", "set", "eth0", "up");
  ip("-n", node.netns, "addr", "add", `${address}/24`, "dev", "eth0");
  ip("-n", client.netns, "addr", "add", "10.99.0.2/24", "dev", "eth0");
  const inside = ["netns", "exec", node.netns, process.execPath, "-e", listens];
  const child = spawn("ip", inside, { stdio: ["ignore", "pipe", "inherit"] });
  program = child;
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  [tcp, silent, answers] = JSON.parse(line.toString()) as [number, number, number];
});

afterAll(() => {
  program.kill("SIGKILL");
  for (const { netns } of [node, client]) ip("netns", "del", netns);
});

test("finds a TCP port that accepts, and a UDP port whether it answers or not, and no closed one", async () => {
  const ports = [...new Set([tcp, silent, answers, tcp - 1, tcp + 1, silent - 1, silent + 1])];
  const wanted = { addresses: [address], ports };
  expect((await openPorts(client, wanted)).map(({ port }) => port)).toEqual([tcp]);
  const open = await refusingAtOnce([node], () => openDatagramPorts(client, wanted));
  expect(open.map(({ port }) => port).sort()).toEqual([silent, answers].sort());
});
