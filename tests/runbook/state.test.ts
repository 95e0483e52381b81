import * as fs from "node:fs";
import * as path from "node:path";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { stackName } from "../../lab/instance";
import { introduce, pushAndPull } from "../../lab/journey/push";
import { backendFolder } from "../../lab/journey/stack";
import { platformOf } from "../../lab/lab";
import { hypervisorFolder } from "../../lab/virtualbox/hypervisor";
import { copyOfFiles } from "../support/clone";
import { follow } from "../support/runbook";
import { RunbookLab } from "../support/runbookLab";
import { helloArchive, type TestLab } from "../support/testLab";

const anew = "Nothing is left of the stack's state";

let own: RunbookLab;
let lab: TestLab;
let backend: string;
/** All that the backend holds. */
let kept: string;
/** What it was before each test. */
let copy: string;

beforeAll(async () => {
  own = await RunbookLab.whole();
  ({ lab } = own);
  backend = backendFolder(lab.instance);
  kept = path.join(backend, ".pulumi");
  copy = path.join(lab.instance.dir, "backend-copy");
});

beforeEach(() => {
  fs.rmSync(copy, { recursive: true, force: true });
  fs.cpSync(kept, copy, { recursive: true });
});

afterEach(async ({ task }) => {
  if (task.result?.state !== "fail") return;
  // Nodes that are set up anew are the new state's.
  if (task.name !== anew) {
    fs.rmSync(kept, { recursive: true, force: true });
    fs.cpSync(copy, kept, { recursive: true });
  }
  await own.mend();
  await own.renewAccess();
});

const stateFile = (): string => path.join(kept, "stacks", "moorage", `${stackName}.json`);

/** What Pulumi says where its stack is not there. */
async function expectNoStack(): Promise<void> {
  const { code, output } = await lab.pulumi(["preview"]);
  expect(code).not.toBe(0);
  expect(output).toMatch(/no stack (selected|named)/);
}

test("The passphrase is wrong, or lost", async () => {
  const before = fs.readFileSync(stateFile(), "utf8");
  const clone = await copyOfFiles();
  const wrong = { PULUMI_CONFIG_PASSPHRASE: "another one" };
  const ran = [
    await lab.pulumi(["preview"], { env: wrong }),
    await lab.up([], { env: wrong }),
    // Without the stack's file nothing but the state itself knows whether it is right.
    await lab.refresh([], { cwd: clone, env: { ...wrong, PULUMI_OPTION_CONFIG_FILE: "" } }),
  ];
  fs.rmSync(clone, { recursive: true });
  for (const { code, output } of ran) {
    expect(code).not.toBe(0);
    expect(output).toMatch(/incorrect passphrase/);
    expect(output).not.toMatch(/(updat|creat|delet|replac)(ing|ed) \(|^\s+at .+[(:]/m);
  }
  expect(fs.readFileSync(stateFile(), "utf8")).toBe(before);
  expect(await lab.plan()).toEqual([]);
});

test("The stack's state cannot be read", async () => {
  // As Pulumi leaves it that is killed right after it has begun the file, where it writes such.
  fs.writeFileSync(`${stateFile()}.attrs`, "");
  const { code, output } = await lab.pulumi(["preview"]);
  expect(code).not.toBe(0);
  expect(output).toContain("failed to load checkpoint: EOF");
  await follow(lab, "The stack's state cannot be read", { names: { BACKEND: backend } });
  expect(await lab.plan()).toEqual([]);
  await lab.mustUp();
  expect(fs.readdirSync(path.dirname(stateFile())).filter((name) => name.endsWith(".attrs"))).toEqual([]);
});

test("The stack's state is lost", async () => {
  for (const file of [stateFile(), `${stateFile()}.bak`]) fs.rmSync(file, { force: true });
  await expectNoStack();
  const names = { BACKEND: backend, STACK: stackName };
  const printed = await follow(lab, "The stack's state is lost", { names });
  expect(printed.at(-1)).toMatch(/^Resources:\n +\d+ unchanged$/m);
  expect(await lab.plan()).toEqual([]);
});

test("The stack's backend is lost", async () => {
  const exported = path.join(lab.instance.dir, "exported.json");
  const { code, output } = await lab.pulumi(["stack", "export", "--file", exported]);
  expect(code, output).toBe(0);
  fs.rmSync(kept, { recursive: true });
  await expectNoStack();
  const names = { STACK: stackName, COPY: exported };
  const printed = await follow(lab, "The stack's backend is lost", { names });
  fs.rmSync(exported);
  expect(printed.at(-1)).toMatch(/^Resources:\n +\d+ unchanged$/m);
  expect(await lab.plan()).toEqual([]);
});

/** Nodes that serve are not taken over by the new stack. */
async function serveOn(): Promise<void> {
  const { code, output } = await lab.up();
  expect(code).not.toBe(0);
  expect(output).toMatch(/preflight found 4 problems; nothing was touched:/);
  for (const { name } of lab.nodes) {
    expect(output).toMatch(new RegExp(`${name}: by its host key, what answers at \\S+ is neither `));
  }
  await own.serves();
}

test("Nothing is left of the stack's state", async ({ skip }) => {
  // Other machines are set up anew by hand.
  if (platformOf(lab.instance) !== "virtualbox") skip();
  const digest = await pushAndPull(lab.instance, own.access, helloArchive(lab));
  fs.rmSync(kept, { recursive: true });
  const names = {
    STACK: stackName,
    NODE: lab.nodes.map(({ name }) => name),
    FOLDER: path.join(hypervisorFolder(lab.instance), "vms"),
  };
  await follow(lab, "Nothing is left of the stack's state", {
    names,
    on: { "each host that ran before": [], "each of them that has etcd": [] },
    before: { "VBoxManage controlvm NODE poweroff": serveOn },
  });
  await own.renewAccess();
  await introduce(lab.instance, "client2", own.access);
  const image = `${own.access.host}/demo/hello@${digest}`;
  await lab.client("client2", `docker image rm --force ${image}`);
  expect(await lab.client("client2", `docker pull --quiet ${image}`)).toContain(digest);
  await own.whole(400);
  expect(await lab.plan()).toEqual([]);
});
