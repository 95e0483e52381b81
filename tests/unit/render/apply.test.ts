import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const script = path.join(__dirname, "../../../render/assets/proxies/apply.sh");

/**
 * Docker and nsenter of a node whose nginx and HAProxy load what `current` names, unless `refused` or `deaf` names the
 * program. `running` holds the services with a container, which has its service's name; `calls` what was asked.
 */
const docker = `#!/bin/bash
echo "$*" >> "$STATE/calls"
program() { case $1 in nginx) echo nginx ;; *) echo haproxy ;; esac; }
load() { grep -qx "$1" "$STATE/deaf" || basename "$(readlink "$ROOT/$1/current")" > "$STATE/$1.version"; }
case "$*" in
    ps*) service=\${@: -1}; service=\${service##*=}; grep -x "$service" "$STATE/running" || : ;;
    "inspect -f {{.State.Pid}}"*) program "$4" ;;
    "inspect -f {{.State.Running}}"*) echo true ;;
    exec*" -t "* | exec*" -c -f"*)
        if grep -qx "$(program "$2")" "$STATE/refused"; then echo "[emerg] no such directive" >&2; exit 1; fi ;;
    exec*HUP*) load nginx ;;
    exec*) cat > /dev/null ;;
    kill*) load haproxy ;;
    logs*) echo "[emerg] bind failed" ;;
esac
`;
const nsenter = `#!/bin/bash
printf 'HTTP/1.0 200 OK\\r\\n\\r\\n%s\\n' "$(cat "$STATE/$2.version" 2> /dev/null)"
`;

let folder: string;
const at = (name: string): string => path.join(folder, name);
const write = (name: string, text: string): void => {
  fs.mkdirSync(path.dirname(at(name)), { recursive: true });
  fs.writeFileSync(at(name), text, { mode: 0o755 });
};
const read = (name: string): string => fs.readFileSync(at(name), "utf8");
const inForce = (program: string): string => fs.readlinkSync(at(`etc/${program}/current`));

function apply(argument = ""): { code: number | null; words: string } {
  const { status, stderr } = spawnSync("bash", [at("proxies/apply.sh"), argument], {
    encoding: "utf8",
    env: {
      PATH: `${at("bin")}:${process.env.PATH}`,
      ROOT: at("etc"),
      CACHE: at("cache"),
      STATE: at("state"),
    },
  });
  return { code: status, words: stderr };
}

/** The passwords of users, as hashes. */
function users(hashes: Record<string, string>): void {
  const lines = Object.entries(hashes).map(([user, hash]) => `${user}:${hash}\n`);
  write("etc/nginx/wanted/users.htpasswd", lines.join(""));
}

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-apply-"));
  // A process that the tests start must not wait, nor write outside of the folder.
  write("proxies/apply.sh", fs.readFileSync(script, "utf8").replaceAll("/run/moorage", at("run")));
  write("proxies/apply.env", "HAPROXY=haproxy-coreos1\nNGINX=nginx\nGRACE=900\n");
  write("bin/docker", docker);
  write("bin/nsenter", nsenter);
  write("bin/sleep", "#!/bin/sh\n");
  write("bin/chown", "#!/bin/sh\n");
  write("bin/systemctl", "#!/bin/sh\necho running\n");
  for (const name of ["running", "refused", "deaf", "calls"]) write(`state/${name}`, "");
  write("etc/nginx/wanted/nginx.conf", "first");
  write("etc/nginx/wanted/cache.conf", "min_free=@MIN_FREE@");
  users({ admin: "one", ci: "one" });
  write("etc/haproxy/wanted/haproxy.cfg", "first");
});
afterEach(() => fs.rmSync(folder, { recursive: true }));

describe("without containers", () => {
  it("puts the files where containers will look for them", () => {
    expect(apply()).toEqual({ code: 0, words: "" });
    const version = inForce("nginx");
    expect(read("etc/nginx/current/version.conf")).toContain(`default ${version};`);
    expect(read("etc/nginx/current/cache.conf")).toMatch(/^min_free=\d+m$/);
    expect(read("etc/nginx/current/previous.json")).toBe("{}\n");
    expect(read("etc/haproxy/current/version.cfg")).toContain(`setenv VERSION ${inForce("haproxy")}`);
    expect(fs.statSync(at("etc/nginx/current/users.htpasswd")).mode & 0o777).toBe(0o440);
  });

  it("leaves nginx out on a node that is no edge node", () => {
    write("proxies/apply.env", "HAPROXY=haproxy-coreos1\nNGINX=\nGRACE=900\n");
    expect(apply().code).toBe(0);
    expect(fs.existsSync(at("etc/nginx/current"))).toBe(false);
  });

  it("removes what it made, but not when the node goes down", () => {
    apply();
    write("bin/systemctl", "#!/bin/sh\necho stopping\n");
    apply("remove");
    expect(inForce("nginx")).not.toBe("");
    write("bin/systemctl", "#!/bin/sh\necho running\n");
    expect(apply("remove").code).toBe(0);
    expect(fs.readdirSync(at("etc/nginx"))).toEqual(["wanted"]);
    expect(fs.existsSync(at("cache"))).toBe(false);
  });
});

describe("previous passwords", () => {
  const previous = () => ({
    passwords: read("etc/nginx/current/previous.htpasswd"),
    ends: JSON.parse(read("etc/nginx/current/previous.json")) as Record<string, number>,
  });

  it("are those that were replaced, with the end of their grace period", () => {
    apply();
    users({ admin: "two", ci: "one", new: "one" });
    const now = Math.floor(Date.now() / 1000);
    expect(apply().code).toBe(0);
    const { passwords, ends } = previous();
    expect(passwords).toBe("admin:one\n");
    expect(Object.keys(ends)).toEqual(["admin"]);
    expect((ends.admin ?? 0) - now).toBeGreaterThanOrEqual(900);
  });

  it("keep their end when another user's is replaced, and are replaced by a newer one", () => {
    apply();
    users({ admin: "two", ci: "one" });
    apply();
    const { ends } = previous();
    users({ admin: "two", ci: "two" });
    apply();
    expect(previous().ends.admin).toBe(ends.admin);
    expect(previous().passwords).toBe("admin:one\nci:one\n");
    users({ admin: "three", ci: "two" });
    apply();
    expect(previous().passwords).toContain("admin:two\n");
    expect(previous().passwords).not.toContain("admin:one");
  });

  it("go when their time is over, with their user, and without a grace period", () => {
    apply();
    users({ admin: "two", ci: "two" });
    apply();
    const file = "etc/nginx/current/previous.json";
    fs.chmodSync(at(file), 0o640);
    fs.writeFileSync(at(file), '{"admin":1,\n"ci":9999999999}\n');
    users({ admin: "two", other: "one" });
    apply();
    expect(previous()).toEqual({ passwords: "", ends: {} });
    write("proxies/apply.env", "HAPROXY=haproxy-coreos1\nNGINX=nginx\nGRACE=0\n");
    users({ admin: "three" });
    apply();
    expect(previous()).toEqual({ passwords: "", ends: {} });
  });
});

describe("in running containers", () => {
  beforeEach(() => {
    write("state/running", "nginx\nhaproxy-coreos1\n");
    expect(apply()).toEqual({ code: 0, words: "" });
    fs.writeFileSync(at("state/calls"), "");
  });

  it("checks and loads what changed, and nothing a second time", () => {
    const before = [inForce("nginx"), inForce("haproxy")];
    write("etc/nginx/wanted/nginx.conf", "second");
    expect(apply()).toEqual({ code: 0, words: "" });
    expect(read("state/nginx.version").trim()).toBe(inForce("nginx"));
    expect(inForce("nginx")).not.toBe(before[0]);
    expect(inForce("haproxy")).toBe(before[1]);
    expect(read("state/calls")).not.toContain("kill --signal");
    // The version before is gone.
    expect(fs.readdirSync(at("etc/nginx")).sort()).toEqual([inForce("nginx"), "current", "wanted"].sort());
    fs.writeFileSync(at("state/calls"), "");
    expect(apply().code).toBe(0);
    expect(read("state/calls")).not.toMatch(/HUP|kill|-t /);
  });

  it.each(["nginx", "haproxy"])(
    "leaves %s as it is if its check fails, with the program's words",
    (program) => {
      const before = inForce(program);
      write("state/refused", `${program}\n`);
      write(`etc/${program}/wanted/${program === "nginx" ? "nginx.conf" : "haproxy.cfg"}`, "broken");
      const { code, words } = apply();
      expect(code).toBe(1);
      expect(words).toMatch(
        /refuses its new configuration; the one before stays in force: .*no such directive/,
      );
      expect(inForce(program)).toBe(before);
      expect(read(`state/${program}.version`).trim()).toBe(before);
      expect(fs.readdirSync(at(`etc/${program}`))).toHaveLength(3);
    },
  );

  it("switches back if the program goes on with the version before", () => {
    const before = inForce("nginx");
    write("state/deaf", "nginx\n");
    write("etc/nginx/wanted/nginx.conf", "not loaded");
    const { code, words } = apply();
    expect(code).toBe(1);
    expect(words).toMatch(/does not load its new configuration; the one before is in force: .*bind failed/);
    expect(inForce("nginx")).toBe(before);
  });

  it("loads a version that a run before could not load", () => {
    write("state/nginx.version", "another");
    expect(apply().code).toBe(0);
    expect(read("state/nginx.version").trim()).toBe(inForce("nginx"));
  });
});
