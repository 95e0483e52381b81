import { spawn } from "node:child_process";
import { once } from "node:events";
import * as http from "node:http";
import { Duplex } from "node:stream";
import { asSocket, readBody } from "../../hosts/src/docker/http";
import { LabError } from "../exec";
import type { Values } from "./properties";

/** More at a time than sshd lets one client ask for would only wait. */
const CONNECTIONS = 4;

/** How long a connection that broke may take to say why. */
const LAST_WORDS_MS = 500;

/** Docker, reached through the local `ssh` and the host's `docker system dial-stdio`. */
export class DockerApi {
  private readonly agent: http.Agent;
  /** What the last connection had to say besides its answers. */
  private said = "";

  /** @param settings of the provider: `host`, and `sshOpts` as JSON */
  constructor({ host, sshOpts = "[]" }: Values) {
    if (!/^ssh:\/\/./.test(String(host))) {
      throw new LabError("the lab's stand-in for the plugin docker reaches hosts by ssh:// only");
    }
    // As the published plugin has it, and strict about host keys where the settings say nothing else.
    const own = ["-o", "ConnectTimeout=30", "-o", "StrictHostKeyChecking=yes", "-T", "--", String(host)];
    const command = [...(JSON.parse(String(sshOpts)) as string[]), ...own, "docker", "system", "dial-stdio"];
    this.agent = Object.assign(new http.Agent({ keepAlive: true, maxSockets: CONNECTIONS }), {
      createConnection: () => this.connect(command),
    });
  }

  /** What Docker answers; nothing where there is no such thing to read or to delete. */
  async ask(method: "GET" | "POST" | "DELETE", path: string, content?: Values): Promise<Values | undefined> {
    const { status, body } = await this.send(method, path, content).catch(async (error: Error) => {
      await new Promise((resolve) => setTimeout(resolve, LAST_WORDS_MS));
      throw new LabError(`Docker cannot be reached: ${this.said.trim() || error.message}`);
    });
    const found = /^\{/.test(body) ? (JSON.parse(body) as Values) : {};
    if (status < 300) return found;
    if (status === 404 && method !== "POST") return undefined;
    throw new LabError(`Error response from daemon: ${String(found.message ?? `status ${status}`)}`);
  }

  private async send(method: string, path: string, content?: Values) {
    const headers = { Host: "docker", ...(content && { "Content-Type": "application/json" }) };
    const request = http.request({ agent: this.agent, method, path, headers });
    const answered = once(request, "response") as Promise<[http.IncomingMessage]>;
    // What fails after the answer has begun, fails in the answer.
    request.on("error", () => undefined).end(content && JSON.stringify(content));
    const [answer] = await answered;
    return { status: answer.statusCode ?? 0, body: String(await readBody(answer)) };
  }

  private connect(command: readonly string[]): Duplex {
    const child = spawn("ssh", [...command]);
    this.said = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => (this.said += text));
    const stream = Duplex.from({ readable: child.stdout, writable: child.stdin });
    child.on("error", (error) => stream.destroy(error)).on("close", () => stream.destroy());
    stream.on("close", () => child.kill());
    return asSocket(stream);
  }
}
