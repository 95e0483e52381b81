import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { minioHealthTest, minioStart } from "@moorage/render";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

let folder: string;
beforeEach(() => (folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-minio-"))));
afterEach(() => fs.rmSync(folder, { recursive: true }));

const mount = (point: string, options: string, superOptions: string): string =>
  `36 35 254:0 /minio ${point} ${options},relatime shared:1 master:2 - ext4 /dev/vdb ${superOptions},seclabel\n`;
const writable = mount("/", "ro", "ro") + mount("/data", "rw", "rw");
const readOnly: [string, string][] = [
  ["the mount", mount("/data", "ro", "rw")],
  ["the file system", mount("/data", "rw", "ro")],
  ["the file system, after an error in a newer ext4", mount("/data", "rw", "rw,emergency_ro")],
];

/** A program on the container's PATH. */
function program(name: string, script: string): void {
  fs.writeFileSync(path.join(folder, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
}

/** Runs one of the container's commands. @param mounts as the kernel lists them */
function run([command = "", ...args]: readonly string[], mounts: string) {
  fs.writeFileSync(path.join(folder, "mountinfo"), mounts);
  const env = {
    PATH: `${folder}:/usr/bin:/bin`,
    MOUNTINFO: path.join(folder, "mountinfo"),
    MINIO_ROOT_USER_FILE: path.join(folder, "user"),
    MINIO_ROOT_PASSWORD_FILE: path.join(folder, "password"),
  };
  return spawnSync(command, args, { env, encoding: "utf8" });
}

describe("MinIO's start", () => {
  function started(secrets: Record<string, string>, mounts = writable) {
    program("minio", 'echo "minio $*"');
    for (const [name, content] of Object.entries(secrets)) fs.writeFileSync(path.join(folder, name), content);
    return run([...minioStart(), "server", "http://a:9000/data"], mounts);
  }
  const secrets = { user: "root", password: "secret" };

  test("runs it with its arguments", () => {
    const { status, stdout } = started(secrets);
    expect([status, stdout]).toEqual([0, "minio server http://a:9000/data\n"]);
  });

  test.each([
    ["password", { user: "root" }],
    ["user", { password: "secret" }],
    ["password", { user: "root", password: "" }],
  ])("fails without its %s, with which it would have a well-known user", (missing, some) => {
    const { status, stdout, stderr } = started(some as Record<string, string>);
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toContain(`/${missing} is not in this container`);
  });

  test("waits while its drive is read-only", () => {
    program("sleep", `echo '${writable.trim()}' > "$MOUNTINFO"`);
    const { status, stdout } = started(secrets, mount("/data", "rw", "ro"));
    expect([status, stdout]).toEqual([
      0,
      "waiting: the file system of /data is read-only\nminio server http://a:9000/data\n",
    ]);
  });
});

describe("MinIO's health check", () => {
  const checked = (mounts: string, curl: string): number | null => {
    program("curl", curl);
    return run(minioHealthTest().slice(1), mounts).status;
  };
  const asksMinio = 'for url; do :; done; [ "$url" = http://127.0.0.1:9000/minio/health/live ]';

  test("passes if MinIO answers, and fails if it does not", () => {
    expect(checked(writable, asksMinio)).toBe(0);
    expect(checked(writable, "exit 28")).toBe(28);
  });

  test.each(readOnly)("fails if %s is read-only", (_what, mounts) => {
    expect(checked(mounts, asksMinio)).toBe(1);
  });
});
