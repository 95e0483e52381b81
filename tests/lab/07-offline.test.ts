import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { run } from "../../lab/exec";
import { checkout } from "../../lab/instance";
import { TestLab, type Ran } from "../support/testLab";

let lab: TestLab;

beforeAll(async () => {
  lab = await TestLab.standing();
});

/** Runs `pulumi` where there is no network but a loopback device of its own: no host can be reached. */
async function withoutNetwork(args: string[], env: Record<string, string>): Promise<Ran> {
  const line = 'ip link set lo up && exec pulumi "$@" --non-interactive --color never';
  const done = await run("unshare", ["--net", "sh", "-c", line, "sh", ...args], { env, cwd: checkout() });
  return { code: done.code, output: done.stdout + done.stderr };
}

test("on the running stack, with a node's change pending, the exact changes of services are previewed", async () => {
  await lab.withConfig(
    (config) => {
      config.setIn(["config", "moorage:nodes", "coreos4", "labels", "rack"], "r1");
      config.setIn(["config", "moorage:edge", "proxyTimeoutSeconds"], 500);
      config.setIn(["config", "moorage:os", "motd"], "changed");
    },
    async () => {
      const { code, output } = await withoutNetwork(["preview", "--diff"], lab.env);
      expect(code, output).toBe(0);
      expect(output).toMatch(/\+ rack +: "r1"/);
      expect(output).toMatch(/\/etc\/motd/);
      // Two of a service's configs change places in the list where the random ends of their names say so.
      expect(output).toMatch(/(\+ configName: |=> )"nginx-config-[0-9a-f]+"/);
      expect(output).toMatch(/[-~] configName: "nginx-config-[0-9a-f]+"/);
      expect(output).not.toMatch(/::(registry|minio|s3)-coreos\d\]/);
    },
  );
});

describe("a clean stack is previewed as a whole without any host", () => {
  test.each(["dev", "metal", "virtualbox", "existing"])("Pulumi.%s.yaml", async (name) => {
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
      const { code, output } = await withoutNetwork(["preview"], env);
      expect(code, output).toBe(0);
      expect(Number(/\+ (\d+) to create/.exec(output)?.[1])).toBeGreaterThan(90);
      expect(output).toMatch(/acceptance-checks/);
    } finally {
      fs.rmSync(folder, { recursive: true });
    }
  });
});

test("the workflow for pull requests does what a preview needs, and nothing that reaches a host", async () => {
  interface Workflow {
    jobs: { preview: { steps: { run?: string; uses?: string; with?: Record<string, unknown> }[] } };
  }
  const text = fs.readFileSync(path.join(checkout(), ".github", "workflows", "preview.yml"), "utf8");
  const { steps } = (parse(text) as Workflow).jobs.preview;
  expect(steps.filter((step) => step.run).map((step) => step.run)).toEqual(["npm ci"]);
  const action = steps.find((step) => step.uses?.startsWith("pulumi/actions@"));
  expect(action?.with).toMatchObject({ command: "preview", "comment-on-pr": true });
  // What the action runs for these settings.
  const { code, output } = await withoutNetwork(
    [String(action?.with?.command), "--diff", "--stack", "dev"],
    lab.env,
  );
  expect(code, output).toBe(0);
});
