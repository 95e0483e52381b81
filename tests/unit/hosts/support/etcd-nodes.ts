/**
 * Nodes with real members of etcd: the files that the renderer makes, on sandboxes with an SSH server each. What
 * stands in is systemd, which here only starts the unit's command again when it ends, and Docker, which here runs
 * etcd itself in place of a container.
 */
import { randomInt } from "node:crypto";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { etcdFiles, etcdScriptPath, etcdUnit, etcdUrl, shellCommand } from "@moorage/render";
import type { EtcdClusterInputs } from "../../../../hosts/src/contract";
import { program } from "../../render/programs/root";
import { authority, type Authority } from "./authority";
import { Sandbox } from "./sandbox";
import { afterwards } from "./stop";

const docker = `#!/bin/sh
verb=$1; shift
case "$verb" in
  rm|stop) exit 0 ;;
  exec)
    while case "$1" in --env) true ;; *) false ;; esac; do shift 2; done
    shift 2
    exec env $(cat /etc/moorage/etcd/member.env) $ETCDCTL "$@" ;;
  run)
    settings=
    while [ $# -gt 0 ]; do
      case "$1" in
        --env-file) settings="$settings $(cat "$2")"; shift 2 ;;
        --env) settings="$settings $2"; shift 2 ;;
        --rm|--read-only) shift ;;
        --*) shift 2 ;;
        *) shift ;;
      esac
    done
    exec env ETCD_UNSAFE_NO_FSYNC=true $settings $ETCD ;;
esac
`;

const systemctl = `#!/bin/sh
verb=$1
running() { [ -e "$FAKE/unit.pid" ] && kill -0 "$(cat "$FAKE/unit.pid")" 2>/dev/null; }
begin() {
  running && return 0
  : > "$FAKE/ends"
  setsid sh -c 'echo $$ > "$FAKE/unit.pid"; while :; do sh ${etcdScriptPath} start; echo >> "$FAKE/ends"; sleep 0.3; done' </dev/null >> "$FAKE/journal" 2>&1 &
}
finish() {
  running || return 0
  pid=$(cat "$FAKE/unit.pid")
  kill -TERM "-$pid"
  for tenth in $(seq 100); do kill -0 "-$pid" 2>/dev/null || break; sleep 0.1; done
  kill -KILL "-$pid" 2>/dev/null || :
  rm -f "$FAKE/unit.pid"
}
case "$verb" in
  start) begin ;;
  stop) finish ;;
  restart) finish; begin ;;
  is-active) if running; then echo active; else echo inactive; exit 3; fi ;;
  show) running && state=active || state=inactive
    printf 'ActiveState=%s\\nSubState=%s\\nNRestarts=%s\\nResult=success\\n' "$state" running "$(grep -c '' "$FAKE/ends")" ;;
esac
`;

export class EtcdNode {
  sandbox!: Sandbox;
  constructor(
    readonly name: string,
    private readonly clientPort: number,
    private readonly peerPort: number,
    private readonly pki: Authority,
  ) {}

  get clientUrl(): string {
    return etcdUrl("127.0.0.1", this.clientPort);
  }

  get peerUrl(): string {
    return etcdUrl("127.0.0.1", this.peerPort);
  }

  async start(): Promise<this> {
    const tools = { docker, systemctl, journalctl: '#!/bin/sh\ntail -n "$3" "$FAKE/journal"\n' };
    this.sandbox = await Sandbox.start(tools, {
      node: this.name,
      addresses: { [`127.0.0.1:${this.clientPort}`]: this.clientPort },
      env: {
        ETCD: shellCommand(program("usr/bin/etcd")),
        ETCDCTL: shellCommand(program("usr/bin/etcdctl")),
      },
    });
    afterwards(() => this.kill());
    this.place();
    return this;
  }

  /** Puts the node's files in place, as the part before the cluster does, and starts its unit. */
  private place(): void {
    const { certificate, key } = this.pki.issue(this.name, ["serverAuth", "clientAuth"]);
    const { files, units } = etcdFiles({
      node: this.name,
      image: "etcd",
      clientAddress: "127.0.0.1",
      peerAddress: "127.0.0.1",
      clientPort: this.clientPort,
      peerPort: this.peerPort,
      token: "test",
      dataFolder: this.sandbox.at("data"),
      heartbeatMs: 50,
      electionMs: 500,
      quotaMiB: 64,
      compaction: { mode: "periodic", retention: "1h" },
      ca: this.pki.ca,
      certificate,
      key,
    });
    for (const [path, { content }] of Object.entries(files)) this.sandbox.write(path.slice(1), content);
    this.sandbox.write(`etc/systemd/system/${etcdUnit}`, units[etcdUnit]?.content ?? "");
  }

  /** Ends the unit and everything of it. */
  kill(): void {
    const pid = this.sandbox.read("unit.pid")?.trim();
    if (pid) this.sandbox.kill(pid);
    rmSync(this.sandbox.at("unit.pid"), { force: true });
  }

  /** What is left when a node was installed anew. */
  loseData(): void {
    this.kill();
    rmSync(this.sandbox.at("data"), { recursive: true, force: true });
  }

  get hasData(): boolean {
    return existsSync(this.sandbox.at("data/store/member/wal"));
  }
}

/** That many nodes, with ports that are free, in no cluster yet. */
export async function etcdNodes(count: number, pki = authority()): Promise<EtcdNode[]> {
  const ports = await freePorts(count * 2);
  const nodes = Array.from(
    { length: count },
    (_, at) => new EtcdNode(`coreos${at + 1}`, ports[2 * at] ?? 0, ports[2 * at + 1] ?? 0, pki),
  );
  return Promise.all(nodes.map((node) => node.start()));
}

export function clusterInputs(
  nodes: readonly EtcdNode[],
  pki: Authority,
  changes: Partial<EtcdClusterInputs> = {},
): EtcdClusterInputs {
  const { certificate, key } = pki.issue("operator", ["clientAuth"]);
  return {
    members: Object.fromEntries(
      nodes.map(({ name, clientUrl, peerUrl, sandbox }) => [
        name,
        { connection: sandbox.server.connection(), clientUrl, peerUrl },
      ]),
    ),
    script: etcdScriptPath,
    caCertificate: pki.ca,
    clientCertificate: certificate,
    clientKey: key,
    fingerprint: "1",
    timeoutSeconds: 3600,
    ...changes,
  };
}

/**
 * Below those that the kernel gives to connections: one of these would be taken by another test's between two starts of a
 * member.
 */
async function freePorts(count: number): Promise<number[]> {
  const [first = 0] = readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8").split("\t").map(Number);
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = randomInt(12_000, first);
    if (await isFree(port)) ports.add(port);
  }
  return [...ports];
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
