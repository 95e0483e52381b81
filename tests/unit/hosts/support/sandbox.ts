/**
 * A host to run real scripts on: the test's SSH server, with /etc, /run, /var/lib and /var/tmp of its own and its own processes
 * (namespaces, so it takes root), and stand-ins for systemctl, journalctl and sudo that note what they are told.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { TestServer, TestServerOptions } from "./ssh-server";
import { afterwards, startServer, temporaryFolder } from "./stop";

export const canSandbox = process.getuid?.() === 0;

const systemctl = `#!/bin/sh
printf '%s\\n' "$*" >> "$FAKE/systemctl.log"
verb=$1; shift
now=no
while case "$1" in -q|--now) true ;; *) false ;; esac; do [ "$1" = --now ] && now=yes; shift; done
unit=$1
state="$FAKE/units/$unit"
start() { if [ -e "$state.fail" ]; then rm -f "$state.active"; return 1; fi; touch "$state.active"; }
case "$verb" in
  daemon-reload|reset-failed) ;;
  enable) touch "$state.enabled"; [ "$now" = no ] || start ;;
  disable) rm -f "$state.enabled"; [ "$now" = no ] || rm -f "$state.active" ;;
  start|restart|reload-or-restart) start ;;
  stop) rm -f "$state.active" ;;
  is-enabled) if [ -e "$state.enabled" ]; then echo enabled; else echo disabled; exit 1; fi ;;
  is-active) [ -e "$state.active" ] ;;
  cat) [ -e "$state.exists" ] || [ -e "/etc/systemd/system/$unit" ] ;;
  show)
    echo Type=simple
    if [ -e "$state.active" ]; then echo ActiveState=active; else echo ActiveState=failed; fi
    echo "ActiveEnterTimestampMonotonic=$(date +%s%N -r "$state.active" 2>/dev/null || echo 0)"
    echo Result=success; echo ConditionResult=yes; echo ConditionTimestampMonotonic=5; echo LoadState=loaded ;;
  *) echo "systemctl: $verb?" >&2; exit 64 ;;
esac
`;

export class Sandbox {
  readonly folder = temporaryFolder();
  server!: TestServer;
  /** What a shell line is run by in there. */
  private wrap: readonly string[] = [];

  /** @param over what folders that are not the host's own hold besides: each file by its path below them */
  static async start(
    tools: Record<string, string> = {},
    options: TestServerOptions = {},
    over: Readonly<Record<string, Readonly<Record<string, string>>>> = {},
  ): Promise<Sandbox> {
    const sandbox = new Sandbox();
    const { folder } = sandbox;
    for (const name of ["bin", "etc", "run", "units", "var/lib", "var/tmp"])
      mkdirSync(join(folder, name), { recursive: true });
    for (const name of ["passwd", "group"]) cpSync(`/etc/${name}`, join(folder, "etc", name));
    const all = {
      systemctl,
      sudo: '#!/bin/sh\nwhile [ "$1" = -n ] || [ "$1" = -- ]; do shift; done\nexec "$@"\n',
      journalctl: '#!/bin/sh\necho "the unit said: out of paint"\n',
      ...tools,
    };
    for (const [name, text] of Object.entries(all)) sandbox.tool(name, text);
    const path = `${join(folder, "bin")}:${process.env["PATH"] ?? ""}`;
    const binds = ["etc", "run", "var/lib", "var/tmp"].map(
      (name) => `mount --bind ${folder}/${name} /${name}`,
    );
    const overlays = Object.entries(over).map(([mountPoint, files]) => {
      for (const [path, content] of Object.entries(files))
        sandbox.write(`over${mountPoint}/${path}`, content);
      return `mount -t overlay -o lowerdir=${folder}/over${mountPoint}:${mountPoint} overlay ${mountPoint}`;
    });
    const mounts = ["mount --make-rprivate /", ...binds, ...overlays].join(" && ");
    const namespaces = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
    // As init does, the first process takes leave of those that nobody else waits for: they would be seen to run on.
    const stay = "echo ready && { sleep 600 & wait; }";
    const keeper = spawn("unshare", [...namespaces, "sh", "-c", `${mounts} && ${stay}`]);
    const ended = once(keeper, "exit");
    await once(keeper.stdout, "data");
    // The first process in there: it ends once all the others have, and nothing writes to the folder any more.
    const first = readFileSync(`/proc/${keeper.pid}/task/${keeper.pid}/children`, "utf8").trim();
    afterwards(() => {
      process.kill(Number(first), "SIGKILL");
      return ended;
    });
    sandbox.wrap = ["nsenter", "-t", first, "-m", "-p", "sh", "-c"];
    sandbox.server = await startServer({
      wrap: [...sandbox.wrap],
      ...options,
      env: { PATH: path, FAKE: folder, ...options.env },
    });
    return sandbox;
  }

  tool(name: string, text: string): void {
    const path = join(this.folder, "bin", name);
    writeFileSync(path, text);
    chmodSync(path, 0o755);
  }

  /** Ends a process group of the host. Its number means nothing, or somebody else, outside. */
  kill(group: string): void {
    const [program = "", ...args] = [...this.wrap, 'kill -s KILL -- "-$1"', "sh", group];
    spawnSync(program, args);
  }

  /** Where a file of the host is on this machine. */
  at(path: string): string {
    return join(this.folder, path);
  }

  write(path: string, content: string): void {
    mkdirSync(dirname(this.at(path)), { recursive: true });
    writeFileSync(this.at(path), content);
  }

  remove(path: string): void {
    rmSync(this.at(path), { force: true });
  }

  read(path: string): string | undefined {
    return existsSync(this.at(path)) ? readFileSync(this.at(path), "utf8") : undefined;
  }

  /** What systemctl was told since the last call, without questions. */
  told(): string[] {
    const log = this.read("systemctl.log") ?? "";
    writeFileSync(this.at("systemctl.log"), "");
    const lines = log.split("\n").filter((line) => line !== "");
    return lines.filter((line) => !/^(is-|show|cat|reset-failed)/.test(line));
  }
}
