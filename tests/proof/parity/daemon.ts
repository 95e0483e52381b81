import { spawn, type ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import * as http from "node:http";
import * as os from "node:os";
import * as path from "node:path";
import { run } from "../../../lab/exec";
import { baseRoot } from "../../../lab/roots";
import { until } from "../../support/waiting";

/** Runs as process 1 of namespaces of its own, over the root of the lab's hosts. */
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

/** An `ssh` in `folder` that leads to a socket, whatever its arguments. */
export function sshTo(folder: string, socket: string): string {
  const body = `exec socat -t 86400 - UNIX-CONNECT:${socket}`;
  fs.writeFileSync(path.join(folder, "ssh"), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  return folder;
}

/** A Docker daemon with a Swarm of one node, which has no network to the outside. */
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
    await until("Docker answers", () => daemon.ask("GET", "/_ping")).catch((error: Error) => {
      throw new Error(`${error.message}\n${fs.readFileSync(path.join(folder, "log"), "utf8").slice(-2000)}`);
    });
    await daemon.ask("POST", "/swarm/init", { ListenAddr: "10.99.0.1:2377", AdvertiseAddr: "10.99.0.1" });
    await daemon.drain();
    return daemon;
  }

  /** Drains the node: tasks would fail, and the Swarm would roll their services back at any moment. */
  private async drain(): Promise<void> {
    const { Swarm } = (await this.ask("GET", "/info")) as { Swarm: { NodeID: string } };
    const node = `/nodes/${Swarm.NodeID}`;
    const found = await this.ask("GET", node);
    const { Version, Spec } = found as { Version: { Index: number }; Spec: object };
    await this.ask("POST", `${node}/update?version=${Version.Index}`, { ...Spec, Availability: "drain" });
  }

  /** A folder with an `ssh` that leads to this daemon. */
  ssh(): string {
    return sshTo(this.folder, this.socket);
  }

  /** @returns the answer, if it is an object */
  ask(method: string, url: string, content?: object): Promise<Record<string, unknown>> {
    const headers = content && { "Content-Type": "application/json" };
    return new Promise((resolve, reject) => {
      const request = http.request({ socketPath: this.socket, method, path: url, headers }, (answer) => {
        let body = "";
        answer.setEncoding("utf8").on("data", (part: string) => (body += part));
        answer.on("end", () => {
          if ((answer.statusCode ?? 0) >= 400) return reject(new Error(`${method} ${url}: ${body}`));
          resolve(body.startsWith("{") ? (JSON.parse(body) as Record<string, unknown>) : {});
        });
      });
      request.on("error", reject);
      request.end(content && JSON.stringify(content));
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
