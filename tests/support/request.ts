/** One request to a registry, on a connection of its own or on one that an agent keeps. */
import { createHash } from "node:crypto";
import * as https from "node:https";

/** Where a client connects to, and as whom. */
export interface Login {
  /** `host` or `host:port` */
  readonly host: string;
  readonly ca: string;
  readonly username: string;
  readonly password: string;
}

export interface Heard {
  /** 0 without an answer. */
  readonly status: number;
  /** Digest of the body. */
  readonly digest: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The first bytes of the body. */
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

/** @param agent keeps connections; without one each request has a new connection */
export function request(
  login: Login,
  target: string,
  timeoutMs: number,
  method = "GET",
  agent: https.Agent | false = false,
  body?: string,
): Promise<Heard> {
  const { hostname, port } = new URL(`https://${login.host}`);
  return new Promise((resolve) => {
    const fail = ({ message: error }: Error): void =>
      resolve({ status: 0, digest: "", headers: {}, body: "", error });
    const options: https.RequestOptions = {
      hostname,
      port: port || 443,
      path: target,
      method,
      ca: login.ca,
      agent,
      auth: `${login.username}:${login.password}`,
      headers: { accept: ACCEPT, ...(body === undefined ? {} : bodyHeaders(body)) },
    };
    const asked = https.request(options, (response) => {
      const hash = createHash("sha256");
      let said = "";
      response.on("data", (chunk: Buffer) => {
        hash.update(chunk);
        if (said.length < 4096) said += chunk.toString("latin1");
      });
      response.on("error", fail);
      response.on("end", () => {
        const { statusCode: status = 0, headers } = response;
        resolve({ status, digest: `sha256:${hash.digest("hex")}`, headers, body: said });
      });
    });
    asked.setTimeout(timeoutMs, () => asked.destroy(new Error(`silent for ${timeoutMs} ms`)));
    asked.on("error", fail);
    asked.end(body);
  });
}
