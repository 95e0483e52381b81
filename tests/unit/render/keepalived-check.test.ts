/** The script by which keepalived decides whether a node may hold the VIP, with a real curl. */
import { execFile } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as https from "node:https";
import type { AddressInfo } from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { keepalivedFiles } from "@moorage/render";
import { afterAll, beforeAll, expect, it } from "vitest";
import { certificate } from "../hosts/support/fake-registry";

/** A status, no answer at all, or none to the first request and then 200. */
type Answer = number | "none" | "late";

const own = "127.0.0.1";
const neighbours = ["127.0.7.1", "127.0.7.2"] as const;
/** Nothing listens there. */
const gone = "127.0.7.9";

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-check-"));
let servers: https.Server[];
let port: number;
let answers: Record<string, Answer> = {};
let asked: string[] = [];

async function listen(host: string, at: number): Promise<https.Server> {
  const server = https.createServer(certificate("front"), ({ url = "" }, response) => {
    const place = `${host}${url}`;
    const answer = answers[place] ?? 404;
    asked.push(place);
    if (answer === "none" || (answer === "late" && asked.filter((one) => one === place).length === 1)) return;
    response.writeHead(answer === "late" ? 200 : answer).end();
  });
  server.listen(at, host);
  await once(server, "listening");
  return server;
}

beforeAll(async () => {
  const first = await listen(own, 0);
  port = (first.address() as AddressInfo).port;
  servers = [first, ...(await Promise.all(neighbours.map((host) => listen(host, port))))];
});
afterAll(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  fs.rmSync(folder, { recursive: true });
});

interface Case {
  /** What this node's /healthz answers. @default 200 */
  readonly nginx?: Answer | "refused";
  /** What its /healthz/registry answers. @default 200 */
  readonly registry?: Answer;
  /** What each neighbour's /healthz/registry answers. @default no neighbours */
  readonly others?: readonly (Answer | "refused")[];
}

async function mayHold({ nginx = 200, registry = 200, others = [] }: Case): Promise<boolean> {
  const hosts = others.map((answer, at) => (answer === "refused" ? gone : neighbours[at]) ?? gone);
  answers = { [`${own}/healthz/registry`]: registry };
  if (nginx !== "refused") answers[`${own}/healthz`] = nginx;
  others.forEach((answer, at) => {
    if (answer !== "refused") answers[`${hosts[at]}/healthz/registry`] = answer;
  });
  asked = [];
  const { files } = keepalivedFiles({
    ...{ node: "a", image: "i", interface: "eth0", address: own, vip: "10.0.2.10" },
    ...{ priority: 1, virtualRouterId: 1, peers: hosts },
    // Nothing listens on port 1.
    port: nginx === "refused" ? 1 : port,
  });
  // Where nothing has to time out, a busy machine shall not.
  const times = [nginx, registry, ...others].some((one) => one === "none" || one === "late");
  const limit = times ? 0.7 : 20;
  for (const name of ["check.sh", "check.env"]) {
    const { content = "", mode } = files[`/etc/moorage/keepalived/${name}`] ?? {};
    fs.writeFileSync(path.join(folder, name), content.replaceAll(/TIMEOUT=\d+/g, `TIMEOUT=${limit}`), {
      mode,
    });
  }
  const script = path.join(folder, "check.sh");
  const [code, said] = await new Promise<[unknown, string]>((resolve) =>
    execFile(script, (error, stdout, stderr) => resolve([error ? error.code : 0, stdout + stderr])),
  );
  expect([code, said]).toEqual([code === 0 ? 0 : 1, ""]);
  return code === 0;
}

it.each<[what: string, situation: Case, may: boolean]>([
  ["all is well", { others: [200, 200] }, true],
  ["nginx is leaving", { nginx: 503, others: [200] }, false],
  ["nginx is leaving on the only edge node", { nginx: 503 }, false],
  ["nginx refuses connections", { nginx: "refused" }, false],
  ["nginx is late once", { nginx: "late" }, true],
  ["nginx hangs", { nginx: "none", others: [200] }, false],
  ["the registry fails here, and not at a neighbour", { registry: 503, others: [503, 200] }, false],
  [
    "the registry fails here, and another neighbour is gone",
    { registry: 503, others: ["refused", 200] },
    false,
  ],
  ["the registry fails everywhere", { registry: 503, others: [503, 503] }, true],
  [
    "the registry fails here, and no neighbour is there",
    { registry: 503, others: ["refused", "refused"] },
    true,
  ],
  ["the registry fails on the only edge node", { registry: 503 }, true],
  ["the registry is late once", { registry: "late", others: [200] }, true],
  ["the registry hangs here, and not at a neighbour", { registry: "none", others: ["none", 200] }, false],
])("%s: %j", async (_, situation, may) => {
  expect(await mayHold(situation)).toBe(may);
});

it("asks no neighbour while its own registry works", async () => {
  await mayHold({ others: [200] });
  expect(asked).toEqual([`${own}/healthz`, `${own}/healthz/registry`]);
});
