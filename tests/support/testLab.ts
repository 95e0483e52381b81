import { spawn, type ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import * as https from "node:https";
import * as path from "node:path";
import { parseDocument, type Document } from "yaml";
import { run, type Finished } from "../../lab/exec";
import { consoleRun } from "../../lab/hosts";
import { checkout, hostNamed, type Host, type Instance, type Platform } from "../../lab/instance";
import { prepare, readAccess, recordAccess } from "../../lab/journey/journey";
import { introduce, onHost, type RegistryAccess } from "../../lab/journey/push";
import { stackFile } from "../../lab/journey/stack";
import { expectSpareStorage } from "./spareStorage";
import { until } from "./waiting";

/** What a `pulumi` command left behind: its exit code, and everything it printed. */
export interface Ran {
  readonly code: number;
  readonly output: string;
}

/** Where `pulumi` runs, and what it finds there besides the lab's own environment. */
export interface PulumiOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

const atOnce = ["--yes", "--skip-preview", "--suppress-outputs"];
const forNobody = ["--non-interactive", "--color", "never"];

/** The longest that is done on a host: a look at every byte of a drive, or Docker's restart. */
const ROOT_SECONDS = 400;

/** One planned or applied step of a preview. */
export interface Step {
  readonly op: string;
  readonly name: string;
  readonly type: string;
  /** Top-level and nested properties that change. */
  readonly properties: string[];
}

/** The lab all tests of a run share, and what is done with it. */
export class TestLab {
  private constructor(
    readonly instance: Instance,
    readonly env: Record<string, string>,
    /** Folder of the image archives. */
    readonly images: string,
    /** Milliseconds after which a `pulumi` command is ended. */
    private readonly limitMs: number,
  ) {}

  static async open(platform?: Platform, limitMs = 400_000): Promise<TestLab> {
    const prepared = await prepare(
      () => undefined,
      (_name, work) => work(),
      platform,
    );
    return new TestLab(prepared.instance, prepared.env, prepared.images, limitMs);
  }

  /** The lab with its registry up, which it is brought to where it is not, and its store whole after what ran before. */
  static async standing(): Promise<TestLab> {
    const lab = await TestLab.open();
    let access = await lab.recordAccess();
    if (access.host === "") {
      await lab.mustUp();
      access = await lab.recordAccess();
    }
    for (const client of ["client1", "client2"]) await introduce(lab.instance, client, access);
    await until("MinIO can spare any node", () => expectSpareStorage(lab), { netSeconds: 300 });
    return lab;
  }

  /** Runs `pulumi` in the project (or `cwd`) to its end, whatever that is. */
  async pulumi(args: readonly string[], options: PulumiOptions = {}): Promise<Ran> {
    const env = { ...this.env, ...options.env };
    const done = await run("pulumi", [...args, ...forNobody], {
      env,
      cwd: options.cwd ?? checkout(),
      timeoutMs: this.limitMs,
    });
    return { code: done.code, output: done.stdout + done.stderr };
  }

  up(args: readonly string[] = [], options: PulumiOptions = {}): Promise<Ran> {
    return this.pulumi(["up", ...atOnce, ...args], options);
  }

  /** An update that must succeed; its failure is the test's. */
  async mustUp(...args: string[]): Promise<string> {
    const { code, output } = await this.up(args);
    if (code !== 0) throw new Error(`${["pulumi up", ...args].join(" ")} failed:\n${output}`);
    return output;
  }

  refresh(args: readonly string[] = [], options: PulumiOptions = {}): Promise<Ran> {
    return this.pulumi(["refresh", ...atOnce, ...args], options);
  }

  /** Starts an update that the caller ends. */
  startUp(): ChildProcess {
    return spawn("pulumi", ["up", ...atOnce, ...forNobody], {
      env: { ...process.env, ...this.env },
      cwd: checkout(),
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
  }

  /** What an update would do now, steps that change nothing left out. */
  async plan(...args: string[]): Promise<Step[]> {
    const done = await run("pulumi", ["preview", "--json", "--non-interactive", ...args], {
      env: this.env,
      cwd: checkout(),
      timeoutMs: this.limitMs,
    });
    if (done.timedOut) throw new Error(`pulumi preview has not ended after ${this.limitMs / 1000} s`);
    const parsed = JSON.parse(done.stdout) as { steps?: RawStep[]; diagnostics?: { message: string }[] };
    if (done.code !== 0) throw new Error(`pulumi preview failed: ${JSON.stringify(parsed.diagnostics)}`);
    return (parsed.steps ?? []).filter((step) => step.op !== "same").map(asStep);
  }

  /** The deployment in the backend, with or without its secrets in clear. */
  async state(showSecrets = false): Promise<string> {
    const flags = showSecrets ? ["--show-secrets"] : [];
    const { output } = await this.pulumi(["stack", "export", ...flags]);
    return output;
  }

  async outputs(): Promise<Record<string, unknown>> {
    const { output } = await this.pulumi(["stack", "output", "--json", "--show-secrets"]);
    return JSON.parse(output) as Record<string, unknown>;
  }

  /** Text of the stack's configuration. */
  stackFile(): string {
    return fs.readFileSync(stackFile(this.instance), "utf8");
  }

  /** Changes the stack's configuration for good, or puts back what was there. */
  changeConfig(change: string | ((config: Document) => void)): void {
    if (typeof change === "string") return fs.writeFileSync(stackFile(this.instance), change);
    const document = parseDocument(this.stackFile());
    change(document);
    fs.writeFileSync(stackFile(this.instance), document.toString());
  }

  /** Changes the stack's configuration for the time of `work`. */
  async withConfig<T>(change: (config: Document) => void, work: () => Promise<T>): Promise<T> {
    const before = this.stackFile();
    this.changeConfig(change);
    try {
      return await work();
    } finally {
      this.changeConfig(before);
    }
  }

  host(name: string): Host {
    return hostNamed(this.instance, name);
  }

  get nodes(): Host[] {
    return this.instance.hosts.filter((host) => host.kind === "node");
  }

  /**
   * Runs a shell line as root inside a host, past SSH. It ends in time also where what it asks hangs: a process there
   * outlives the command that entered, and the test.
   */
  root(name: string, line: string): Promise<Finished> {
    return consoleRun(this.host(name), ["timeout", "-k", "1", String(ROOT_SECONDS), "sh", "-c", line]);
  }

  /** The same, which must succeed. */
  async mustRoot(name: string, line: string): Promise<string> {
    const done = await this.root(name, line);
    if (done.code !== 0)
      throw new Error(`${name}: ${line}: exit code ${done.code}: ${done.stderr}${done.stdout}`);
    return done.stdout;
  }

  /** Runs a shell line on a client over SSH, which must succeed. */
  client(name: string, line: string, input = ""): Promise<string> {
    return onHost(this.instance, this.host(name), line, input);
  }

  access(): Promise<RegistryAccess> {
    return readAccess(this.instance, this.env);
  }

  recordAccess(): Promise<RegistryAccess> {
    return recordAccess(this.instance, this.env);
  }
}

interface RawStep {
  readonly op: string;
  readonly urn: string;
  readonly detailedDiff?: Record<string, unknown> | null;
  readonly diffReasons?: string[] | null;
}

function asStep(step: RawStep): Step {
  const [type, name] = step.urn.split("::").slice(-2);
  return {
    op: step.op,
    name: name ?? "",
    type: type?.split("$").at(-1) ?? "",
    properties: Object.keys(step.detailedDiff ?? {}).concat(step.diffReasons ?? []),
  };
}

/** An answer of the registry. */
export interface Answer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: string;
}

/** Asks the lab's registry through the forward on this machine. */
export function ask(
  lab: TestLab,
  access: Pick<RegistryAccess, "caCertificate">,
  pathname: string,
  options: {
    user?: string;
    password?: string;
    method?: string;
    body?: string | Buffer;
    headers?: Record<string, string>;
    timeoutMs?: number;
    /** Of this machine. @default the one that leads to the address of all fronts */
    port?: number;
  } = {},
): Promise<Answer> {
  const auth = options.user === undefined ? {} : { auth: `${options.user}:${options.password ?? ""}` };
  return new Promise((resolve, reject) => {
    const request = https.request(
      {
        host: "127.0.0.1",
        port: options.port ?? lab.instance.registryPort,
        path: pathname,
        method: options.method ?? "GET",
        headers: options.headers,
        ca: access.caCertificate,
        agent: false,
        timeout: options.timeoutMs ?? 10_000,
        ...auth,
      },
      (response) => {
        let body = "";
        response.setEncoding("utf8").on("data", (text: string) => (body += text));
        // Cut off in the middle of a body, it has no end.
        response.on("error", reject);
        response.on("end", () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
        );
      },
    );
    request.on("timeout", () => request.destroy(new Error(`no answer to ${pathname} in time`)));
    request.on("error", reject);
    request.end(options.body);
  });
}

export const helloArchive = (lab: TestLab): string => path.join(lab.images, "hello.tar");
