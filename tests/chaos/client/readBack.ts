/** Runs on a client: reads everything that was acknowledged, by tag and by digest, and says what is not as it was. */
import type { Entry } from "../ledger";
import { request, tell, told, type Login } from "./request";

export interface Reading {
  readonly login: Login;
  readonly entries: readonly Entry[];
}

const TIMEOUT_MS = 30_000;
const ATTEMPTS = 3;
const AT_ONCE = 4;

async function wrong(login: Login, path: string, digest: string): Promise<string | undefined> {
  let last = "";
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const { status, digest: came, error } = await request(login, path, TIMEOUT_MS);
    if (status === 200) return came === digest ? undefined : `${path}: ${came} in place of ${digest}`;
    last = `${path}: ${error ?? `status ${status}`}`;
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  return last;
}

async function readEntry(login: Login, entry: Entry): Promise<string[]> {
  const { repository, tag, digest, blobs } = entry;
  const wanted: [string, string][] = [
    [`manifests/${tag}`, digest],
    ...blobs.map((blob): [string, string] => [`blobs/${blob.digest}`, blob.digest]),
  ];
  const found: string[] = [];
  for (const [what, expected] of wanted) {
    const problem = await wrong(login, `/v2/${repository}/${what}`, expected);
    if (problem !== undefined) found.push(problem);
  }
  return found;
}

async function main(): Promise<void> {
  const { login, entries } = await told<Reading>();
  const queue = [...entries];
  const work = async (): Promise<void> => {
    for (let entry = queue.shift(); entry; entry = queue.shift()) {
      for (const problem of await readEntry(login, entry)) tell(problem);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  tell("done");
}

void main();
