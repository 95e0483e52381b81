/** Previews without a network: no host is reached. */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { beforeAll, expect, test } from "vitest";
import { parse, parseDocument } from "yaml";
import { imageIdOfArchive } from "../../../hosts/src/archive";
import { run } from "../../../lab/exec";
import { checkout } from "../../../lab/instance";
import { passphrase } from "../../../lab/journey/stack";
import { copyOfFiles } from "../../support/clone";
import { expectUnchanged } from "../../support/service";
import { TestLab, type Ran } from "../../support/testLab";
import { planned, registered } from "../../support/wholePlan";

let lab: TestLab;

beforeAll(async () => {
  lab = await TestLab.standing();
});

/** Runs `pulumi` with a loopback device only. */
async function withoutNetwork(
  args: string[],
  env: Record<string, string>,
  cwd = checkout(),
): Promise<Ran & { readonly stdout: string }> {
  const line = 'ip link set lo up && exec pulumi "$@" --non-interactive --color never';
  const { code, stdout, stderr } = await run("unshare", ["--net", "sh", "-c", line, "sh", ...args], {
    env,
    cwd,
  });
  return { code, stdout, output: stdout + stderr };
}

test("a preview of the running stack shows the exact changes of services, with a node's change pending", async () => {
  await lab.withConfig(
    (config) => {
      config.setIn(["config", "moorage:nodes", "coreos4", "labels", "shelf"], "s1");
      config.setIn(["config", "moorage:edge", "proxyTimeoutSeconds"], 500);
      config.setIn(["config", "moorage:os", "motd"], "changed");
    },
    async () => {
      const { code, output } = await withoutNetwork(["preview", "--diff"], lab.env);
      expect(code, output).toBe(0);
      expect(output).toMatch(/\+ shelf +: "s1"/);
      expect(output).toMatch(/\/etc\/motd/);
      expect(output).toMatch(/proxy_read_timeout 500s/);
      expect(output).not.toMatch(/::(registry|minio|haproxy)-coreos\d\]/);
    },
  );
});

test.each(["dev", "metal", "virtualbox", "existing"])(
  "a preview of a new stack with Pulumi.%s.yaml plans everything",
  async (name) => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-preview-"));
    try {
      const file = path.join(folder, `Pulumi.${name}.yaml`);
      fs.copyFileSync(path.join(checkout(), "Pulumi.yaml"), path.join(folder, "Pulumi.yaml"));
      fs.copyFileSync(path.join(checkout(), `Pulumi.${name}.yaml`), file);
      const env = {
        ...lab.env,
        PULUMI_BACKEND_URL: `file://${folder}`,
        MOORAGE_STAND_INS_FOR: `file://${folder}`,
        PULUMI_OPTION_CONFIG_FILE: file,
        PULUMI_STACK: name,
      };
      await run("pulumi", ["-C", folder, "stack", "init", "--no-select", name], { env });
      const { code, output, stdout } = await withoutNetwork(["preview", "--json"], env);
      expect(code, output).toBe(0);
      const all = await registered(name);
      expect(all).toContain("pulumi-nodejs:dynamic/moorage:AcceptanceChecks acceptance-checks");
      expect(planned(stdout)).toEqual(all);
    } finally {
      fs.rmSync(folder, { recursive: true });
    }
  },
);

interface Step {
  readonly run?: string;
  readonly with?: Readonly<Record<string, unknown>>;
}

interface Workflow {
  readonly jobs: { readonly preview: { readonly env: Record<string, string>; readonly steps: Step[] } };
}

/** The lab's stack file with image ids in place of archives, as the workflow needs it. */
function withImageIds(text: string): string {
  const document = parseDocument(text);
  const images = ["config", "moorage:images"];
  const { config } = document.toJS() as { config: Record<string, Record<string, { archive: string }>> };
  for (const [name, { archive }] of Object.entries(config["moorage:images"] ?? {})) {
    const id = imageIdOfArchive(path.resolve(checkout(), archive));
    document.setIn([...images, name, "imageId"], id);
  }
  return document.toString();
}

test("the workflow for pull requests previews the stack in a fresh clone without archives", async () => {
  // The workflow's header lists these settings.
  const settings: Record<string, string | undefined> = {
    "vars.PULUMI_STACK": "dev",
    "vars.PULUMI_BACKEND_URL": lab.env.PULUMI_BACKEND_URL,
    "secrets.PULUMI_CONFIG_PASSPHRASE": passphrase(lab.instance),
  };
  const filled = (text: unknown): string =>
    String(text).replace(/\$\{\{ *(\S+) *\}\}/g, (_all, name: string) => {
      const value = settings[name];
      if (value === undefined) throw new Error(`the workflow's header does not list ${name}`);
      return value;
    });
  const clone = await copyOfFiles();
  try {
    fs.writeFileSync(path.join(clone, "Pulumi.dev.yaml"), withImageIds(lab.stackFile()));
    const text = fs.readFileSync(path.join(clone, ".github", "workflows", "preview.yml"), "utf8");
    const job = (parse(text) as Workflow).jobs.preview;
    // Pulumi and its plugins are installed. No other setting of the lab's is there.
    const tools = Object.entries(lab.env).filter(([name]) => /^PATH$|^PULUMI_(HOME|SKIP|DISABLE)/.test(name));
    const given = Object.entries(job.env).map(([name, value]) => [name, filled(value)]);
    const env = Object.fromEntries([...tools, ...given]) as Record<string, string>;
    for (const step of job.steps.filter((one) => one.run !== undefined)) {
      const done = await run("bash", ["-e", "-c", filled(step.run)], { cwd: clone, env });
      expect(done.code, done.output).toBe(0);
    }
    expect(fs.existsSync(path.join(clone, ".images"))).toBe(false);
    // The action in the last step runs this.
    const action = job.steps.at(-1)?.with;
    expect(action).toMatchObject({ command: "preview", "comment-on-pr": true });
    const args = [filled(action?.command), "--stack", filled(action?.["stack-name"])];
    if (action?.diff === true) args.push("--diff");
    expectUnchanged(await withoutNetwork(args, env, clone), { mayWarn: true });
  } finally {
    fs.rmSync(clone, { recursive: true, force: true });
  }
});
