import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { minioStart } from "@moorage/render";
import { afterEach, beforeEach, expect, test } from "vitest";

let folder: string;

beforeEach(() => (folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-minio-"))));
afterEach(() => fs.rmSync(folder, { recursive: true }));

/** Starts what the container starts, with a `minio` that prints its arguments. */
function started(secrets: Record<string, string>) {
  fs.writeFileSync(path.join(folder, "minio"), '#!/bin/sh\necho "minio $*"\n', { mode: 0o755 });
  for (const [name, content] of Object.entries(secrets)) fs.writeFileSync(path.join(folder, name), content);
  const [program = "", ...args] = minioStart({
    rootUserFile: path.join(folder, "user"),
    rootPasswordFile: path.join(folder, "password"),
  });
  const env = { PATH: `${folder}:/usr/bin:/bin` };
  return spawnSync(program, [...args, "server", "http://a:9000/data"], { env, encoding: "utf8" });
}

test("MinIO starts with its arguments where its secrets are", () => {
  const { status, stdout } = started({ user: "root", password: "secret" });
  expect([status, stdout]).toEqual([0, "minio server http://a:9000/data\n"]);
});

test.each([
  ["password", { user: "root" }],
  ["user", { password: "secret" }],
  ["password", { user: "root", password: "" }],
])("MinIO does not start, with its default user, without its %s", (missing, secrets) => {
  const { status, stdout, stderr } = started(secrets as Record<string, string>);
  expect([status, stdout]).toEqual([1, ""]);
  expect(stderr).toContain(`/${missing} is not in this container`);
});
