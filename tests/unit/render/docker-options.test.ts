import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { nodeBaseFiles, renderDockerOptions, type Distribution, type NodeFiles } from "@moorage/render";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import "../../property/seed";

const apiTls = { ca: "ca", cert: "cert", key: "key" };

function base(distribution: Distribution | undefined): NodeFiles {
  return nodeBaseFiles({
    distribution,
    docker: { apiTls },
    limits: { tasksMax: 100 },
    registryNames: ["10.0.2.10"],
    caCertificate: "ca",
    noProxy: [],
  });
}

const daemonJson = ({ files }: NodeFiles): Record<string, unknown> =>
  JSON.parse(files["/etc/docker/daemon.json"]?.content ?? "") as Record<string, unknown>;

const settings = daemonJson(base("fedora-coreos"));

let folder: string;
beforeEach(() => void (folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-options-"))));
afterEach(() => fs.rmSync(folder, { recursive: true }));

/** The words that Docker is started with: a file is read as systemd does, what it says in quotes freed of backslashes. */
function started(options: string | undefined): string[] {
  const script = path.join(folder, "script");
  fs.writeFileSync(script, renderDockerOptions(settings, folder));
  execFileSync("sh", [script], {
    env: { PATH: process.env["PATH"], ...(options !== undefined && { OPTIONS: options }) },
    cwd: folder,
  });
  const [, text = ""] =
    /^OPTIONS="(.*)"\n$/s.exec(fs.readFileSync(path.join(folder, "docker-options"), "utf8")) ?? [];
  return text
    .replace(/\\(.)/gs, "$1")
    .split(/\s+/)
    .filter((word) => word !== "");
}

describe("Docker's options on Fedora CoreOS", () => {
  it("are those of its older releases without what daemon.json says and without live-restore", () => {
    const packaged = [
      "--selinux-enabled   --log-driver=journald   --live-restore   --default-ulimit nofile=1024:1024",
      "--init-path /usr/libexec/docker/docker-init   --userland-proxy-path /usr/libexec/docker/docker-proxy",
    ].join("   ");
    expect(started(packaged)).toEqual([
      "--selinux-enabled",
      ...["--init-path", "/usr/libexec/docker/docker-init"],
      ...["--userland-proxy-path", "/usr/libexec/docker/docker-proxy"],
    ]);
  });

  it("are those of newer ones as they are, wherever their programs lie", () => {
    const packaged =
      "--selinux-enabled --userland-proxy-path /usr/bin/docker-proxy --init-path /usr/bin/tini-static";
    expect(started(packaged)).toEqual(packaged.split(" "));
    expect(started("")).toEqual([]);
    expect(started(undefined)).toEqual([]);
  });

  it("are taken by their words, none of which the shell or systemd makes another of", () => {
    const odd = String.raw`--label=a="b c" --x=$HOME * --y=back\slash --z=${"`id`"} --log-opt tag="$x" --end`;
    expect(started(odd)).toEqual([
      ...['--label=a="b', 'c"', "--x=$HOME", "*", String.raw`--y=back\slash`, "--z=`id`", "--end"],
    ]);
  });

  it("never say what daemon.json says, whatever else they are", () => {
    const names = ["selinux-enabled", "live-restore", "log-driver", "log-opt", "default-ulimit"].concat(
      ...["cgroup-parent", "no-new-privileges", "tlsverify", "tlscacert", "bip", "debug"],
    );
    const flags = ["selinux-enabled", "live-restore", "no-new-privileges", "tlsverify", "debug"];
    const word = fc.stringMatching(/^[A-Za-z0-9=:/."$\\*]{1,12}$/);
    const option = fc.tuple(fc.constantFrom(...names), word, fc.boolean()).map(([name, value, apart]) => {
      if (flags.includes(name)) return apart ? [`--${name}`] : [`--${name}=true`];
      return apart ? [`--${name}`, value] : [`--${name}=${value}`];
    });
    const isKept = (name: string) => ["--selinux-enabled", "--bip", "--debug"].includes(name);
    fc.assert(
      fc.property(fc.array(option, { maxLength: 8 }), (options) => {
        const kept = options.filter(([first = ""]) => isKept(first.split("=")[0] ?? ""));
        expect(started(options.flat().join(" "))).toEqual(kept.flat());
      }),
      { numRuns: 25 },
    );
  });

  it("are made before each start, and read after the distribution's own", () => {
    const { files, units } = base("fedora-coreos");
    expect(files["/etc/moorage/docker-options"]).toEqual({
      content: renderDockerOptions(settings),
      mode: 0o755,
      apply: { action: "restart", unit: "docker.service" },
    });
    expect(units["docker.service"]?.dropIns?.["00-moorage-options.conf"]?.split("\n").slice(1, 4)).toEqual([
      "EnvironmentFile=-/run/moorage/docker-options",
      "ExecStartPre=/bin/rm -f /run/moorage/docker-options",
      "ExecStartPre=-/bin/sh /etc/moorage/docker-options",
    ]);
  });

  it("leave a container as many open files as HAProxy and nginx want, and SELinux to the distribution", () => {
    expect(settings).toMatchObject({
      "default-ulimits": { nofile: { Name: "nofile", Hard: 524_288, Soft: 1024 } },
    });
    expect(JSON.stringify(settings)).not.toMatch(/selinux/);
  });

  it.each(["flatcar", "coreos", undefined] as const)("are left alone on %s", (distribution) => {
    const files = base(distribution);
    expect(JSON.stringify(files)).not.toMatch(/docker-options|00-moorage-options/);
    expect(daemonJson(files)).not.toHaveProperty("default-ulimits");
  });
});
