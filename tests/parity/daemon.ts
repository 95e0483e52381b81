import { spawn, type ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import * as http from "node:http";
import * as os from "node:os";
import * as path from "node:path";
import { run, waitFor } from "../../lab/exec";
import { baseRoot } from "../../lab/roots";

/** What runs as process 1 of namespaces of its own, over the root that the lab's hosts have. */
const script = `set -eu
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
mount -t proc proc "$2/root/proc"
mount --rbind /sys "$2/root/sys"
mount --rbind /dev "$2/root/dev"
mount -t tmpfs tmpfs "$2/root/run"
mkdir -p "$2/root/out" "$2/root/var/lib/docker"
mount --bind "$2/out" "$2/root/out"
mount --bind "$2/data" "$2/root/var/lib/docker"
ip link set lo up
ip link add name eth0 type veth peer name eth1
ip address add 10.99.0.1/24 dev eth0
ip link set eth0 up
ip link set eth1 up
exec chroot "$2/root" dockerd --iptables=false --ip6tables=false --bridge=none -H unix:///out/docker.sock`;

/** Docker's API. */
export interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

/** A Docker daemon of the tests' own, with a Swarm of one node, without any network to the outside. */
export class Daemon {
  private constructor(
    private readonly folder: string,
    private readonly child: ChildProcess,
  ) {}

  static async start(): Promise<Daemon> {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-docker-"));
    for (const name of ["upper", "work", "root", "out", "data"]) fs.mkdirSync(path.join(folder, name));
    const isolated = ["--mount", "--net", "--pid", "--fork", "--kill-child", "--propagation", "private"];
    const log = fs.openSync(path.join(folder, "log"), "w");
    const child = spawn("unshare", [...isolated, "sh", "-c", script, "sh", await baseRoot(), folder], {
      stdio: ["ignore", log, log],
    });
    fs.closeSync(log);
    const daemon = new Daemon(folder, child);
    const answers = () =>
      daemon.ask("GET", "/_ping").then(
        () => true,
        () => undefined,
      );
    if (!(await waitFor(answers, 60_000, 100))) {
      throw new Error(fs.readFileSync(path.join(folder, "log"), "utf8").slice(-2000));
    }
    await daemon.ask("POST", "/swarm/init", { ListenAddr: "10.99.0.1:2377", AdvertiseAddr: "10.99.0.1" });
    return daemon;
  }

  /** Keeps the Swarm from running anything: an update that fails would be rolled back, at some moment or other. */
  async drain(): Promise<void> {
    const { body } = await this.ask("GET", "/info");
    const node = `/nodes/${(body.Swarm as { NodeID: string }).NodeID}`;
    const { Version, Spec } = (await this.ask("GET", node)).body as {
      Version: { Index: number };
      Spec: object;
    };
    await this.ask("POST", `${node}/update?version=${Version.Index}`, { ...Spec, Availability: "drain" });
  }

  /** A folder with an `ssh` that leads here, whatever it is asked. */
  ssh(): string {
    const file = path.join(this.folder, "ssh");
    const body = `exec socat -t 86400 - UNIX-CONNECT:${this.socket}`;
    fs.writeFileSync(file, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
    return this.folder;
  }

  ask(method: string, url: string, content?: unknown): Promise<Answer> {
    const text = content === undefined ? "" : JSON.stringify(content);
    const headers =
      text === "" ? {} : { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(text) };
    return new Promise((resolve, reject) => {
      const request = http.request({ socketPath: this.socket, method, path: url, headers }, (answer) => {
        let body = "";
        answer.setEncoding("utf8").on("data", (part: string) => (body += part));
        answer.on("end", () =>
          resolve({
            status: answer.statusCode ?? 0,
            body: /^\{/.test(body) ? (JSON.parse(body) as Answer["body"]) : {},
          }),
        );
      });
      request.on("error", reject);
      request.end(text);
    });
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.child.once("close", resolve));
    this.child.kill("SIGKILL");
    await ended;
    await run("rm", ["-rf", "--one-file-system", this.folder]);
  }

  private get socket(): string {
    return path.join(this.folder, "out/docker.sock");
  }
}
