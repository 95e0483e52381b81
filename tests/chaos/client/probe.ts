/** Runs on a client: asks `GET /v2/` and a manifest in turn, whether or not the last one was answered. */
import { request, tell, told, type Login } from "./request";

export interface Probing {
  readonly login: Login;
  readonly paths: readonly string[];
  readonly everyMs: number;
  /** @default "GET" */
  readonly method?: string;
}

/** One answer, or its absence. */
export interface Probe {
  readonly path: string;
  /** When it was asked, in milliseconds since 1970. */
  readonly at: number;
  readonly status: number;
  readonly firstByteMs: number;
  readonly error?: string;
}

const TIMEOUT_MS = 10_000;

async function main(): Promise<void> {
  const { login, paths, everyMs, method } = await told<Probing>();
  let count = 0;
  const parent = process.ppid;
  setInterval(() => {
    // Whoever reads this is gone.
    if (process.ppid !== parent) process.exit(0);
    const path = paths[count++ % paths.length] ?? "/v2/";
    const at = Date.now();
    void request(login, path, TIMEOUT_MS, method).then(({ status, firstByteMs, error }) =>
      tell({ path, at, status, firstByteMs, error } satisfies Probe),
    );
  }, everyMs);
}

void main();
