import * as fs from "node:fs";
import * as path from "node:path";
import { beforeAll, beforeEach, expect, test } from "vitest";
import { stackName } from "../../../lab/instance";
import { introduce, pushAndPull } from "../../../lab/journey/push";
import { backendFolder } from "../../../lab/journey/stack";
import { platformOf } from "../../../lab/lab";
import { hypervisorFolder } from "../../../lab/virtualbox/hypervisor";
import { copyOfFiles } from "../../support/clone";
import { RunbookLab } from "../../support/runbookLab";
import { helloArchive } from "../../support/testLab";

let backend: string;
/** Everything in the backend. */
let kept: string;
/** The same before the test; undefined once the nodes belong to a new state. */
let copy: string | undefined;

const own: RunbookLab = RunbookLab.forFile(async () => {
  if (copy !== undefined) {
    fs.rmSync(kept, { recursive: true, force: true });
    fs.cpSync(copy, kept, { recursive: true });
  }
  await own.mend();
  await own.renewAccess();
});

beforeAll(() => {
  backend = backendFolder(own.instance);
  kept = path.join(backend, ".pulumi");
});

beforeEach(() => {
  copy = path.join(own.instance.dir, "backend-copy");
  fs.rmSync(copy, { recursive: true, force: true });
  fs.cpSync(kept, copy, { recursive: true });
});

const stateFile = (): string => path.join(kept, "stacks", "moorage", `${stackName}.json`);

async function expectNoStack(): Promise<void> {
  const { code, output } = await own.lab.pulumi(["preview"]);
  expect(code).not.toBe(0);
  expect(output).toMatch(/no stack (selected|named)/);
}

test("The passphrase is wrong, or lost", async () => {
  const before = fs.readFileSync(stateFile(), "utf8");
  const clone = await copyOfFiles();
  const wrong = { PULUMI_CONFIG_PASSPHRASE: "another one" };
  const ran = [
    await own.lab.pulumi(["preview"], { env: wrong }),
    await own.lab.up([], { env: wrong }),
    // Without the stack's file only the state tells whether the passphrase is right.
    await own.lab.refresh([], { cwd: clone, env: { ...wrong, PULUMI_OPTION_CONFIG_FILE: "" } }),
  ];
  fs.rmSync(clone, { recursive: true });
  for (const { code, output } of ran) {
    expect(code).not.toBe(0);
    expect(output).toMatch(/incorrect passphrase/);
    expect(output).not.toMatch(/(updat|creat|delet|replac)(ing|ed) \(|^\s+at .+[(:]/m);
  }
  expect(fs.readFileSync(stateFile(), "utf8")).toBe(before);
  expect(await own.lab.plan()).toEqual([]);
});

test("The stack's state cannot be read", async () => {
  // Pulumi leaves this if it is killed while it writes the file.
  fs.writeFileSync(`${stateFile()}.attrs`, "");
  const { code, output } = await own.lab.pulumi(["preview"]);
  expect(code).not.toBe(0);
  expect(output).toContain("failed to load checkpoint: EOF");
  await own.follow("The stack's state cannot be read", { names: { BACKEND: backend } });
  expect(await own.lab.plan()).toEqual([]);
  await own.lab.mustUp();
  expect(fs.readdirSync(path.dirname(stateFile())).filter((name) => name.endsWith(".attrs"))).toEqual([]);
});

test("The stack's state is lost", async () => {
  for (const file of [stateFile(), `${stateFile()}.bak`]) fs.rmSync(file, { force: true });
  await expectNoStack();
  const names = { BACKEND: backend, STACK: stackName };
  const printed = await own.follow("The stack's state is lost", { names });
  expect(printed.at(-1)).toMatch(/^Resources:\n +\d+ unchanged$/m);
  expect(await own.lab.plan()).toEqual([]);
});

test("The stack's backend is lost", async () => {
  const exported = path.join(own.instance.dir, "exported.json");
  const { code, output } = await own.lab.pulumi(["stack", "export", "--file", exported]);
  expect(code, output).toBe(0);
  fs.rmSync(kept, { recursive: true });
  await expectNoStack();
  const names = { STACK: stackName, COPY: exported };
  const printed = await own.follow("The stack's backend is lost", { names });
  fs.rmSync(exported);
  expect(printed.at(-1)).toMatch(/^Resources:\n +\d+ unchanged$/m);
  expect(await own.lab.plan()).toEqual([]);
});

/** The new stack refuses nodes of the old one, which go on. */
async function refusesNodes(): Promise<void> {
  const { code, output } = await own.lab.up();
  expect(code).not.toBe(0);
  expect(output).toMatch(/preflight found 4 problems; nothing was touched:/);
  for (const { name } of own.lab.nodes) {
    expect(output).toMatch(new RegExp(`${name}: by its host key, what answers at \\S+ is neither `));
  }
  await own.serves();
}

test("Nothing is left of the stack's state", async ({ skip }) => {
  // Other machines are reinstalled by hand.
  if (platformOf(own.instance) !== "virtualbox") skip();
  const digest = await pushAndPull(own.instance, own.access, helloArchive(own.lab));
  copy = undefined;
  fs.rmSync(kept, { recursive: true });
  const names = {
    STACK: stackName,
    NODE: own.lab.nodes.map(({ name }) => name),
    FOLDER: path.join(hypervisorFolder(own.instance), "vms"),
  };
  await own.follow("Nothing is left of the stack's state", {
    names,
    on: { "each host that ran before": [], "each of them that has etcd": [] },
    before: { "VBoxManage controlvm NODE poweroff": refusesNodes },
  });
  await own.renewAccess();
  await introduce(own.instance, "client2", own.access);
  const image = `${own.access.host}/demo/hello@${digest}`;
  await own.lab.client("client2", `docker image rm --force ${image}`);
  expect(await own.lab.client("client2", `docker pull --quiet ${image}`)).toContain(digest);
  await own.wholeAndUnchanged();
});
