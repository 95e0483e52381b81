/** One request of a client: on a connection of its own, as a client that has just started makes it, or on one that is kept. */
import { createHash } from "node:crypto";
import * as https from "node:https";

/** What a client is told on its standard input, so that no password is on a command line. */
export interface Login {
  readonly host: string;
  readonly ca: string;
  readonly username: string;
  readonly password: string;
}

export interface Heard {
  /** 0 where there was no answer. */
  readonly status: number;
  /** Milliseconds to the first byte of the answer, or to the failure. */
  readonly firstByteMs: number;
  /** Digest of the body. */
  readonly digest: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The body's first bytes. */
  readonly body: string;
  readonly error?: string;
}

const ACCEPT = [
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
].join(", ");

const bodyHeaders = (body: string): Record<string, string> => ({
  "content-type": "application/octet-stream",
  "content-length": String(Buffer.byteLength(body)),
});

/**
 * @param agent of the connections that are kept; without one there is a new one each time
 * @param body nothing where it is not given
 */
export function request(
  login: Login,
  target: string,
  timeoutMs: number,
  method = "GET",
  agent: https.Agent | false = false,
  body?: string,
): Promise<Heard> {
  const { hostname, port } = new URL(`https://${login.host}`);
  const start = Date.now();
  return new Promise((resolve) => {
    const failed = (error: Error): void =>
      resolve({
        status: 0,
        firstByteMs: Date.now() - start,
        digest: "",
        headers: {},
        body: "",
        error: error.message,
      });
    const asked = https.request(
      {
        hostname,
        port: port || 443,
        path: target,
        method,
        ca: login.ca,
        agent,
        auth: `${login.username}:${login.password}`,
        headers: { accept: ACCEPT, ...(body === undefined ? {} : bodyHeaders(body)) },
      },
      (response) => {
        const firstByteMs = Date.now() - start;
        const hash = createHash("sha256");
        let said = "";
        response.on("data", (chunk: Buffer) => {
          hash.update(chunk);
          if (said.length < 4096) said += chunk.toString("latin1");
        });
        response.on("error", failed);
        response.on("end", () => {
          const { statusCode: status = 0, headers } = response;
          resolve({ status, firstByteMs, digest: `sha256:${hash.digest("hex")}`, headers, body: said });
        });
      },
    );
    asked.setTimeout(timeoutMs, () => asked.destroy(new Error(`silent for ${timeoutMs} ms`)));
    asked.on("error", failed);
    asked.end(body);
  });
}

/** All of this process's standard input, as JSON. */
export async function told<T>(): Promise<T> {
  let text = "";
  for await (const chunk of process.stdin.setEncoding("utf8")) text += chunk as string;
  return JSON.parse(text) as T;
}

export const tell = (line: unknown): boolean => process.stdout.write(`${JSON.stringify(line)}\n`);
