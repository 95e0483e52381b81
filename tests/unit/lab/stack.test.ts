import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { describeInstance, type Instance } from "../../../lab/instance";
import { ensureStack } from "../../../lab/journey/pulumi";

let instance: Instance;
let env: Record<string, string>;
let pulumi: string;

/** A `pulumi` that makes a stack as the real one does, which refuses while there is a lock, and knows no lock without a stack. */
beforeEach(() => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-test-"));
  instance = { ...describeInstance(0), dir };
  pulumi = path.join(dir, "backend", ".pulumi");
  const script = `#!/bin/sh
echo "$*" >>${dir}/asked
[ "$3 $4" = "stack init" ] || exit 6
[ -z "$(ls ${pulumi}/locks 2>/dev/null)" ] || exit 1
mkdir -p ${pulumi}/stacks/moorage && echo '{}' >${pulumi}/stacks/moorage/dev.json
`;
  fs.writeFileSync(path.join(dir, "pulumi"), script, { mode: 0o755 });
  env = { PATH: `${dir}:${process.env.PATH}` };
});

afterEach(() => fs.rmSync(instance.dir, { recursive: true }));

const asked = (): string[] => fs.readFileSync(path.join(instance.dir, "asked"), "utf8").trim().split("\n");
const isMade = (): boolean => fs.existsSync(path.join(pulumi, "stacks", "moorage", "dev.json"));

test("a stack is made once", async () => {
  await ensureStack(instance, env);
  await ensureStack(instance, env);
  expect(asked()).toEqual([`-C ${instance.dir} stack init --no-select dev`]);
});

describe("a stack is made where making it was cut off", () => {
  const lock = (text: string, name = "one.json"): void => {
    fs.mkdirSync(path.join(pulumi, "locks"), { recursive: true });
    fs.writeFileSync(path.join(pulumi, "locks", name), text);
  };
  /** No process has this number. */
  const gone = JSON.stringify({ pid: 2 ** 30, hostname: os.hostname(), timestamp: new Date().toISOString() });

  test.each([
    ["with a lock alone", () => lock(gone)],
    ["while it wrote the lock", () => lock(gone.slice(0, 10))],
    ["before the lock had its name", () => lock(gone, "one.json.18ec07bc27fc1979.tmp")],
    [
      "between folder and file",
      () => fs.mkdirSync(path.join(pulumi, "stacks", "moorage"), { recursive: true }),
    ],
    [
      "while it wrote the file",
      () => {
        lock(gone);
        fs.mkdirSync(path.join(pulumi, "stacks", "moorage"), { recursive: true });
        fs.writeFileSync(path.join(pulumi, "stacks", "moorage", "dev.json.18ec07aa02d0f9fa.tmp"), "{");
      },
    ],
  ])("%s", async (_where, cutOff) => {
    cutOff();
    await ensureStack(instance, env);
    expect(isMade()).toBe(true);
  });
});
