/**
 * Runs in the network of a client host: slow uploads of one user, as many as a program may have open, until standard input
 * ends. Its first line is the login; each line of output counts what is open and what was refused with 429.
 */
import type { ClientRequest, IncomingMessage } from "node:http";
import * as https from "node:https";
import { createInterface } from "node:readline";
import type { Login } from "../../support/request";
import { pause } from "../../support/waiting";
import type { Flooded } from "./floodRow";

const MIB = 1024 ** 2;
/** What the front spools, and what a registry buffers. Together fewer than one address may have in progress. */
const kinds = {
  manifest: { slots: 512, sends: 5 * MIB - 1024, announces: 5 * MIB },
  layer: { slots: 96, sends: 31 * MIB, announces: 1024 * MIB },
};
/** Within the bodies' longest pause, and within an address's requests in a second. */
const DRIP_MS = 20_000;
const AGAIN_MS = 30_000;
const BEGIN_MS = 20;
const REPORT_MS = 1000;

const repository = "/v2/public/flood";
const chunk = Buffer.alloc(MIB, 1);
const counts = { open: 0, refused: 0 };

function take(answer: IncomingMessage): void {
  if (answer.statusCode === 429) counts.refused += 1;
  answer.resume();
}

function begin(login: Login, method: string, target: string, length: number): ClientRequest {
  const { hostname, port } = new URL(`https://${login.host}`);
  const { ca, username, password } = login;
  const headers = { "content-type": "application/octet-stream", "content-length": length };
  const to = { hostname, port: port || 443, path: target, ca, auth: `${username}:${password}` };
  return https.request({ ...to, method, headers, agent: false });
}

/** Where to send a layer; undefined if the front or the registry refuses. */
function uploadOf(login: Login): Promise<string | undefined> {
  return new Promise((resolve) => {
    const asked = begin(login, "POST", `${repository}/blobs/uploads/`, 0);
    asked.on("response", (answer) => (take(answer), resolve(answer.headers.location)));
    asked.on("error", () => resolve(undefined));
    asked.end();
  });
}

/** Sends all but the end, then a byte now and then. Ends when it is answered. */
function slowly(asked: ClientRequest, sends: number): Promise<void> {
  counts.open += 1;
  return new Promise<void>((resolve) => {
    const drip = setInterval(() => asked.write(chunk.subarray(0, 1)), DRIP_MS);
    const end = (): void => {
      clearInterval(drip);
      asked.destroy();
      resolve();
    };
    asked.on("response", take).on("response", end).on("error", end).on("close", end);
    const send = (left: number): void => {
      if (left > 0) asked.write(chunk.subarray(0, Math.min(left, MIB)), (error) => error ?? send(left - MIB));
    };
    send(sends);
  }).then(() => void (counts.open -= 1));
}

async function slot(login: Login, kind: keyof typeof kinds, at: number): Promise<never> {
  const { sends, announces } = kinds[kind];
  for (;;) {
    const target = kind === "layer" ? await uploadOf(login) : `${repository}/manifests/t${at}`;
    const method = kind === "layer" ? "PATCH" : "PUT";
    if (target !== undefined) await slowly(begin(login, method, target, announces), sends);
    await pause(AGAIN_MS);
  }
}

const lines = createInterface({ input: process.stdin });
lines.once("line", (line) => {
  const login = JSON.parse(line) as Login;
  // Layers take the most memory: where few uploads are let in, it is these.
  const slots = (["layer", "manifest"] as const).flatMap((kind) =>
    Array.from({ length: kinds[kind].slots }, (_, at) => ({ kind, at })),
  );
  slots.forEach(({ kind, at }, index) => setTimeout(() => void slot(login, kind, at), index * BEGIN_MS));
  setInterval(() => console.log(JSON.stringify(counts satisfies Flooded)), REPORT_MS);
});
lines.on("close", () => process.exit(0));
