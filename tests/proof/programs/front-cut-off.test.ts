/** What a node that may be cut off asks the others, with a real curl. */
import { execFile } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as https from "node:https";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { renderFrontCheck } from "@moorage/render";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { certificate } from "../../unit/hosts/support/fake-registry";
import { SilentAddress } from "./silent";

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-cut-off-"));
const script = path.join(folder, "check-front");
const gossip = 7946;
const [edge, witness] = ["127.0.7.1", "127.0.7.2"] as const;

let port: number;
let front: https.Server;
beforeAll(async () => {
  front = https.createServer(certificate("front"), (_request, response) => response.end("{}"));
  front.listen(0, "127.0.0.1");
  await once(front, "listening");
  port = (front.address() as net.AddressInfo).port;
  write([edge, witness]);
  await silent(edge, port, gossip);
});
afterAll(() => {
  front.close();
  fs.rmSync(folder, { recursive: true });
  for (const one of silents) one.stop();
});

function write(witnesses: string[]): void {
  const check = { port, peers: [edge], witnesses, seenFolder: folder };
  fs.writeFileSync(script, renderFrontCheck(check), { mode: 0o755 });
}

const silents: SilentAddress[] = [];
async function silent(host: string, ...ports: number[]): Promise<void> {
  for (const one of ports) silents.push(await new SilentAddress(host, one).start());
}

let gossiping: net.Server | undefined;
afterEach(() => {
  gossiping?.close();
  for (const one of silents.splice(2)) one.stop();
});

/** May it hold the VIP, and how many milliseconds did it take to say so? */
async function check(): Promise<{ may: boolean; took: number }> {
  const since = performance.now();
  const may = await new Promise<boolean>((resolve) => execFile(script, (error) => resolve(error === null)));
  return { may, took: performance.now() - since };
}

it("is cut off where nobody answers, which it says soon enough", async () => {
  await silent(witness, port, gossip);
  const { may, took } = await check();
  expect(may).toBe(false);
  expect(took).toBeLessThan(2500);
});

it("is not where a node refuses what is no front of its own", async () => {
  await silent(witness, gossip);
  expect((await check()).may).toBe(true);
});

it("is not where a node that drops that takes connections for Swarm, which hears nothing by them", async () => {
  await silent(witness, port);
  const heard: Buffer[] = [];
  let connections = 0;
  gossiping = net.createServer((socket) => {
    connections++;
    socket.on("data", (data) => heard.push(data)).on("error", () => undefined);
  });
  gossiping.listen(gossip, witness);
  await once(gossiping, "listening");
  expect((await check()).may).toBe(true);
  expect(connections).toBeGreaterThan(0);
  expect(Buffer.concat(heard).toString()).toBe("");
});

it("is asked about by all of dozens of nodes at once", async () => {
  const busy = "127.0.7.3";
  const nodes = 40;
  let connected = 0;
  let most = 0;
  const servers = [port, gossip].map((at) =>
    net
      .createServer((socket) => {
        most = Math.max(most, ++connected);
        socket.on("error", () => undefined).on("close", () => connected--);
      })
      .listen(at, busy),
  );
  await Promise.all(servers.map((server) => once(server, "listening")));
  write(Array.from({ length: nodes }, () => busy));
  expect((await check()).may).toBe(true);
  expect(most).toBe(2 * nodes);
  for (const server of servers) server.close();
});
