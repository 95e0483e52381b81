/** Runs on a client: reads what was acknowledged, by tag and by digest, and says what is not as it was. */
import * as https from "node:https";
import { readParts, type Read } from "../reading";
import { request, tell, told, type Login } from "./request";

export interface Reading {
  readonly login: Login;
  /** One after the other within each part. */
  readonly reads: readonly (readonly Read[])[];
}

const TIMEOUT_MS = 30_000;
const ATTEMPTS = 3;
const AT_ONCE = 8;
const agent = new https.Agent({ keepAlive: true, maxSockets: AT_ONCE });

async function wrong(login: Login, { path, method, digest }: Read): Promise<string | undefined> {
  let last = "";
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const heard = await request(login, path, TIMEOUT_MS, method, agent);
    const came = method === "GET" ? heard.digest : heard.headers["docker-content-digest"];
    if (heard.status === 200)
      return came === digest ? undefined : `${path}: ${String(came)} in place of ${digest}`;
    last = `${path}: ${heard.error ?? `status ${heard.status}`}`;
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  return last;
}

async function main(): Promise<void> {
  const { login, reads } = await told<Reading>();
  await readParts(reads, AT_ONCE, (read) => wrong(login, read), tell);
  agent.destroy();
  tell("done");
}

void main();
