import { X509Certificate } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { run } from "../../lab/exec";
import { ensurePlugins } from "../../toolchain/plugins";
import { ensureCli, quietEnvironment } from "../../toolchain/pulumi";
import { defaultSetting } from "../../toolchain/setting";
import { homeWithStandIns } from "../../toolchain/standIns";
import { notRun } from "../support/summary";
import { Daemon } from "./daemon";

const program = path.join(__dirname, "program");
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-engine-"));
const setting = defaultSetting(() => undefined);

type Who = "published" | "standIn";
let homes: Record<Who, string> | undefined;
let daemon: Daemon;
let bin = "";

beforeAll(async () => {
  const cli = await ensureCli(setting);
  bin = cli.bin;
  const { home, report } = await ensurePlugins(setting, cli);
  if (report.some((line) => line.includes("stand-ins"))) return;
  homes = {
    published: home,
    standIn: homeWithStandIns({ ...setting, cache: folder }, home, setting.pins.plugins),
  };
  daemon = await Daemon.start();
}, 600_000);
afterAll(async () => {
  await daemon?.stop();
  fs.rmSync(folder, { recursive: true, force: true });
});

async function pulumi(stack: string, who: Who, args: readonly string[], word = "first") {
  const backend = path.join(folder, stack);
  fs.mkdirSync(backend, { recursive: true });
  const env = {
    ...quietEnvironment(),
    PATH: `${daemon.ssh()}:${path.dirname(bin)}:${process.env.PATH}`,
    PULUMI_HOME: homes?.[who] ?? "",
    PULUMI_BACKEND_URL: `file://${backend}`,
    MOORAGE_STAND_INS_FOR: `file://${backend}`,
    PULUMI_CONFIG_PASSPHRASE: "parity",
    PULUMI_OPTION_CONFIG_FILE: path.join(backend, "Pulumi.dev.yaml"),
    PARITY_WORD: word,
  };
  if (!fs.existsSync(path.join(backend, ".pulumi"))) {
    fs.copyFileSync(path.join(program, "Pulumi.yaml"), path.join(backend, "Pulumi.yaml"));
    await run(bin, ["-C", backend, "stack", "init", "--no-select", "dev"], { env });
  }
  const done = await run(bin, ["-C", program, ...args, "--stack", "dev"], { env, timeoutMs: 120_000 });
  return { code: done.code, output: done.stdout + done.stderr };
}

async function must(stack: string, who: Who, args: readonly string[], word?: string): Promise<string> {
  const { code, output } = await pulumi(stack, who, args, word);
  expect(code, output).toBe(0);
  return output;
}

test("the CLI finds published plugins and stand-ins in one home", async (context) => {
  if (!homes) return context.skip(`${notRun}there are no archives of the published plugins`);
  const mixed = { ...setting, cache: path.join(folder, "mixed") };
  const env = {
    ...quietEnvironment(),
    PULUMI_HOME: homeWithStandIns(mixed, homes.published, setting.pins.plugins.slice(1)),
  };
  const listed = await run(bin, ["plugin", "ls", "--json"], { env });
  const names = (JSON.parse(listed.stdout) as { readonly name: string }[]).map(({ name }) => name);
  expect(names.sort()).toEqual(setting.pins.plugins.map(({ name }) => name).sort());
});

const now = ["--yes", "--skip-preview", "--non-interactive", "--color", "never"];
const steps = (output: string): string[] =>
  output
    .split("\n")
    .map((line) => /^ (\S+) +(docker|tls|random|command)\S* +(\S+) +(\S+)/.exec(line))
    .flatMap((found) => (found ? [`${found[3]}: ${found[4]}`] : []))
    .filter((line) => / (creat|updat|replac|delet|-|\+|~)/.test(line))
    .sort();

/** The state without what each run makes up: key names of outputs, and which of them are secret. */
async function shapeOfState(stack: string, who: Who): Promise<unknown> {
  const exported = JSON.parse(await must(stack, who, ["stack", "export"])) as {
    deployment: { resources: { type: string; urn: string; outputs?: Record<string, unknown> }[] };
  };
  const isSecret = (value: unknown): boolean =>
    JSON.stringify(value ?? "").includes("1b47061264138c4ac30d75fd1eb44270");
  return exported.deployment.resources
    .filter(({ type }) => /^(docker|tls|random|command):/.test(type))
    .map(({ urn, outputs = {} }) => [
      urn.split("::").at(-1),
      Object.keys(outputs)
        .filter((key) => !key.startsWith("__") && outputs[key] !== null && !isEmpty(outputs[key]))
        .map((key) => `${key}${isSecret(outputs[key]) ? " secret" : ""}`)
        .sort(),
    ])
    .sort(([one], [other]) => ((one ?? "") < (other ?? "") ? -1 : 1));
}

const isEmpty = (value: unknown): boolean =>
  ["", "[]", "{}", "false", "0"].includes(JSON.stringify(value)) || value === "";

const pairs: readonly (readonly [Who, Who])[] = [
  ["standIn", "published"],
  ["published", "standIn"],
];
const shapes: unknown[] = [];
const changed: string[][] = [];

test.for(pairs)(
  "a stack of the %s shows no change under the %s, and goes on there",
  { timeout: 240_000 },
  async ([one, other], context) => {
    if (!homes) return context.skip(`${notRun}there are no archives of the published plugins`);
    await must(one, one, ["up", ...now]);
    shapes.push(await shapeOfState(one, one));
    const outputs = JSON.parse(
      await must(one, one, ["stack", "output", "--json", "--show-secrets"]),
    ) as Record<string, string>;
    const [authority, leaf] = [outputs.authority, outputs.leaf].map((pem) => new X509Certificate(pem ?? ""));
    expect(leaf?.verify((authority as X509Certificate).publicKey)).toBe(true);
    expect(outputs.hash).toMatch(/^\$6\$/);
    for (const who of [one, other]) {
      await must(one, who, ["preview", "--expect-no-changes", "--non-interactive", "--color", "never"]);
    }
    await must(one, other, ["refresh", "--expect-no-changes", ...now]);
    await must(one, one, ["preview", "--expect-no-changes", "--non-interactive", "--color", "never"]);
    changed.push(steps(await must(one, other, ["up", ...now], "second")));
    await must(one, other, ["destroy", ...now], "second");
  },
);

test("both record the same outputs and secrets, and change in the same steps", (context) => {
  if (!homes) return context.skip(`${notRun}there are no archives of the published plugins`);
  expect(shapes[0]).toEqual(shapes[1]);
  expect(changed[0]).toEqual(changed[1]);
  expect(changed[0]?.length).toBeGreaterThan(1);
});
