import { spawn } from "node:child_process";
import * as http from "node:http";
import { Duplex } from "node:stream";
import { asSocket } from "../../hosts/src/docker/http";
import { StandInError } from "./standIn";
import type { Values } from "./values";

/** More at a time than sshd lets one client ask for would only wait. */
const CONNECTIONS = 4;

/** How long a connection that broke may take to say why. */
const LAST_WORDS_MS = 2000;

/** Docker, reached through the local `ssh` and the host's `docker system dial-stdio`. */
export class DockerApi {
  private readonly agent: http.Agent;
  /** What `ssh` said last, once it has ended. */
  private lastWords = Promise.resolve("");

  constructor(settings: Values) {
    const command = sshCommand(settings);
    this.agent = Object.assign(new http.Agent({ keepAlive: true, maxSockets: CONNECTIONS }), {
      createConnection: () => this.connect(command),
    });
  }

  /** What Docker answers; undefined where it says that there is no such thing. */
  async find(path: string): Promise<Values | undefined> {
    const { status, body } = await this.send("GET", path);
    return status === 404 ? undefined : answerOf(status, body);
  }

  async change(method: "POST" | "DELETE", path: string, content?: Values): Promise<Values> {
    const { status, body } = await this.send(method, path, content);
    return method === "DELETE" && status === 404 ? {} : answerOf(status, body);
  }

  private send(method: string, path: string, content?: Values): Promise<{ status: number; body: string }> {
    const text = content === undefined ? "" : JSON.stringify(content);
    const headers = {
      Host: "docker",
      ...(text && { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(text) }),
    };
    return new Promise((resolve, reject) => {
      const failed = (error: Error): void => {
        const patience = new Promise<string>((giveUp) => setTimeout(giveUp, LAST_WORDS_MS, ""));
        void Promise.race([this.lastWords, patience]).then((said) =>
          reject(new StandInError(`Docker cannot be reached: ${said || error.message}`)),
        );
      };
      const request = http.request({ agent: this.agent, method, path, headers }, (answer) => {
        let body = "";
        answer.setEncoding("utf8").on("data", (part: string) => (body += part));
        answer.on("error", failed);
        answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body }));
      });
      request.on("error", failed);
      request.end(text);
    });
  }

  private connect(command: readonly string[]): Duplex {
    const child = spawn("ssh", [...command]);
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
    const stream = Duplex.from({ readable: child.stdout, writable: child.stdin });
    child.on("error", (error) => stream.destroy(error));
    this.lastWords = new Promise((resolve) =>
      child.on("close", (code) => resolve(code === 0 ? "" : said.trim())),
    );
    child.on("close", () => stream.destroy());
    stream.on("close", () => child.kill());
    return asSocket(stream);
  }
}

/** As the published plugin builds it, and strict about host keys where the settings say nothing else. */
function sshCommand({ host, sshOpts = [] }: Values): string[] {
  const url = /^ssh:\/\/.+$/.test(String(host)) ? new URL(String(host)) : undefined;
  if (!url) throw new StandInError("the lab's stand-in for the plugin docker reaches hosts by ssh:// only");
  return [
    ...(url.username ? ["-l", url.username] : []),
    ...(url.port ? ["-p", url.port] : []),
    ...(sshOpts as string[]),
    ...["-o", "ConnectTimeout=30", "-o", "StrictHostKeyChecking=yes", "-T", "--"],
    ...[url.hostname, "docker", "system", "dial-stdio"],
  ];
}

function answerOf(status: number, body: string): Values {
  if (status < 300) return body === "" ? {} : (JSON.parse(body) as Values);
  const { message } = JSON.parse(/^\{/.test(body) ? body : "{}") as { message?: string };
  throw new StandInError(`Error response from daemon: ${message ?? `status ${status}`}`);
}
