/** Requests from a client host, by a program that stays there (client.ts). */
import { spawn, type ChildProcess } from "node:child_process";
import * as path from "node:path";
import { createInterface } from "node:readline";
import { LabError } from "../../../lab/exec";
import { checkout, type Host } from "../../../lab/instance";
import type { Login } from "../../support/request";

export interface Asked {
  readonly id: number;
  readonly path: string;
  readonly method: "GET" | "HEAD";
  /** In place of the registry's address. */
  readonly host?: string;
  readonly timeoutMs: number;
  /** Whether connections are kept. @default each request has a new one */
  readonly kept?: boolean;
}

export interface Answer {
  readonly id: number;
  readonly path: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly end: number;
  /** 0 without an answer. */
  readonly status: number;
  /** Of the body; of HEAD, by the header. */
  readonly digest: string;
  readonly error?: string;
}

interface Waiting {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

export class Client {
  private readonly child: ChildProcess;
  private readonly waiting = new Map<number, Waiting>();
  private count = 0;
  private ended?: LabError;

  constructor(host: Host, login: Login) {
    const program = [process.execPath, "--import", "tsx", path.join(__dirname, "client.ts")];
    this.child = spawn("ip", ["netns", "exec", host.netns, ...program], {
      cwd: checkout(),
      stdio: ["pipe", "pipe", "inherit"],
    });
    const { stdin, stdout } = this.child;
    if (!stdin || !stdout) throw new LabError("a client program has no pipes");
    stdin.on("error", () => undefined);
    createInterface({ input: stdout }).on("line", (line) => this.take(JSON.parse(line) as Answer));
    this.child.once("error", (error) => this.fail(error.message));
    this.child.once("close", (code) => this.fail(`exit code ${code}`));
    stdin.write(`${JSON.stringify(login)}\n`);
  }

  ask(asked: Omit<Asked, "id">): Promise<Answer> {
    const id = this.count++;
    return new Promise((resolve, reject) => {
      if (this.ended) return reject(this.ended);
      this.waiting.set(id, { resolve, reject });
      this.child.stdin?.write(`${JSON.stringify({ ...asked, id } satisfies Asked)}\n`);
    });
  }

  end(): void {
    this.child.kill("SIGKILL");
  }

  private take(answer: Answer): void {
    this.waiting.get(answer.id)?.resolve(answer);
    this.waiting.delete(answer.id);
  }

  private fail(why: string): void {
    this.ended ??= new LabError(`the client program has ended: ${why}`);
    for (const { reject } of this.waiting.values()) reject(this.ended);
    this.waiting.clear();
  }
}
