import { spawn, type ChildProcess } from "node:child_process";

/** A process and all that it has said. */
export class Said {
  text = "";
  constructor(readonly child: ChildProcess) {
    child.stdout?.setEncoding("utf8").on("data", (text: string) => (this.text += text));
    child.stderr?.setEncoding("utf8").on("data", (text: string) => (this.text += text));
  }
}

/** A network that nothing else is in, and what runs in it. Ends by itself after five minutes. */
export class OwnNetwork {
  private readonly running: ChildProcess[] = [];
  private holder: ChildProcess | undefined;

  /** @param env of what runs there, in place of this process's own */
  constructor(private readonly env: NodeJS.ProcessEnv = process.env) {}

  /** @param setUp shell lines that give it its addresses */
  async start(setUp: readonly string[]): Promise<void> {
    const all = ["ip link set lo up", ...setUp, "echo up", "exec sleep 300"];
    this.holder = spawn("unshare", ["--net", "sh", "-c", all.join(" && ")]);
    this.running.push(this.holder);
    const { child } = new Said(this.holder);
    await new Promise((resolve) => child.stdout?.once("data", resolve));
  }

  /** Of a process that is in it, for `ip link … netns`. */
  get pid(): number | undefined {
    return this.holder?.pid;
  }

  run(...command: string[]): Said {
    const child = spawn("nsenter", ["--net", `--target=${this.pid}`, "--", ...command], {
      env: this.env,
    });
    this.running.push(child);
    return new Said(child);
  }

  node(program: string, ...args: string[]): Said {
    return this.run(process.execPath, "--eval", program, "--", ...args);
  }

  end(): void {
    for (const child of this.running) child.kill("SIGKILL");
  }
}
