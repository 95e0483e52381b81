/** Runs in the network of a client host: makes the requests that it reads from standard input, one JSON object a line. */
import * as https from "node:https";
import { createInterface } from "node:readline";
import { request, type Login } from "../../support/request";
import type { Answer, Asked } from "./clients";

const AT_ONCE = 8;
const agent = new https.Agent({ keepAlive: true, maxSockets: AT_ONCE });
const lines = createInterface({ input: process.stdin });
let login: Login | undefined;

async function answer(known: Login, { id, path, method, host, timeoutMs, kept }: Asked): Promise<void> {
  const at = Date.now();
  const to = host === undefined ? known : { ...known, host };
  const heard = await request(to, path, timeoutMs, method, kept ? agent : false);
  const digest = method === "HEAD" ? String(heard.headers["docker-content-digest"]) : heard.digest;
  const { status, error } = heard;
  const line: Answer = { id, path, at, end: Date.now(), status, digest, error };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

lines.on("line", (line) => {
  // The first line is the login: no password is on a command line.
  if (login === undefined) login = JSON.parse(line) as Login;
  else void answer(login, JSON.parse(line) as Asked);
});
lines.on("close", () => process.exit(0));
