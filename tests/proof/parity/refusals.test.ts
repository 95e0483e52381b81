/** A stand-in works for the lab's stack alone and refuses what it does not have. */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { defaultSetting } from "../../../toolchain/setting";
import { writeStarter } from "../../../toolchain/standIns";
import { Plugin } from "./plugin";

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-refusals-"));
const starters = new Map<string, string>();
const started: Plugin[] = [];

async function standIn(name: string, env: Record<string, string>): Promise<Plugin> {
  const setting = defaultSetting(() => undefined);
  const starter = starters.get(name) ?? writeStarter(setting, { name, version: "1.0.0" }, folder);
  starters.set(name, starter);
  const plugin = await Plugin.start(starter, { MOORAGE_LAB_DIR: "/the/labs", ...env });
  started.push(plugin);
  return plugin;
}

const labBackend = "file:///the/labs/0/backend";
let random: Plugin;
let docker: Plugin;
beforeAll(async () => {
  random = await standIn("random", { PULUMI_BACKEND_URL: labBackend });
  const PATH = `${folder}:${process.env.PATH}`;
  docker = await standIn("docker", { PULUMI_BACKEND_URL: labBackend, PATH });
});
afterAll(() => {
  started.forEach((plugin) => plugin.stop());
  fs.rmSync(folder, { recursive: true });
});

const idType = "random:index/randomId:RandomId";
const asked = (plugin: Plugin, stack?: string) => plugin.check(idType, { byteLength: 8 }, {}, "it", stack);
const otherStack = "urn:pulumi:prod::moorage";
const notOfTheLab = "is none of the lab's, and the lab's stand-ins for provider plugins work for no other";

describe("stacks", () => {
  test.each([
    "",
    "file:///another/folder",
    "file:///the/labs",
    "file:///the/labs/../other",
    "s3://the/labs/0/backend",
  ])("refuses every stack in '%s'", async (backend) => {
    const plugin = await standIn("random", { PULUMI_BACKEND_URL: backend });
    await expect(asked(plugin)).rejects.toThrow(`stack dev ${notOfTheLab}`);
  });

  test.each([otherStack, "urn:pulumi:dev::another"])("refuses %s in the lab's backend", async (stack) => {
    await expect(asked(random, stack)).rejects.toThrow(notOfTheLab);
  });

  const named = (backend: string, other = backend) =>
    standIn("random", { PULUMI_BACKEND_URL: backend, MOORAGE_STAND_INS_FOR: other });

  test.each([
    "file:///another/folder",
    "file:///another/folder?the=/the/labs/0/backend",
    "file:///the/labs",
    `file://${os.tmpdir()}`,
    `file://${os.tmpdir()}/../another/folder`,
    "file://~",
    "s3://bucket",
    "https://api.pulumi.com",
    "",
  ])("refuses '%s' although MOORAGE_STAND_INS_FOR names it", async (backend) => {
    await expect(asked(await named(backend))).rejects.toThrow(notOfTheLab);
  });

  test("refuses a backend if MOORAGE_STAND_INS_FOR names another", async () => {
    const [one = "", other] = ["one", "other"].map((name) => `file://${path.join(os.tmpdir(), name)}`);
    await expect(asked(await named(one, other))).rejects.toThrow(notOfTheLab);
  });

  test.each([
    `file://${os.tmpdir()}/some/test`,
    "file:///the/labs/0/empty/backend",
    `file://${os.tmpdir()}/some/test?metadata=skip`,
  ])("serves any stack in %s if MOORAGE_STAND_INS_FOR names it", async (backend) => {
    expect((await asked(await named(backend), otherStack)).failures).toEqual([]);
  });
});

describe("resources", () => {
  test("refuses another type of resource", async () => {
    const type = "random:index/randomPet:RandomPet";
    await expect(random.check(type, {})).rejects.toThrow(`stand-in for the plugin random makes no ${type}`);
  });

  test("refuses an import without its id: the id of a password is the password", async () => {
    const type = "random:index/randomPassword:RandomPassword";
    const imported = random.read(type, { id: "hush", inputs: {}, outputs: {} });
    await expect(imported).rejects.toThrow(`imports no ${type}`);
    await expect(imported).rejects.not.toThrow("hush");
  });

  test("fails if a command fails, with what it printed", async () => {
    const command = await standIn("command", { PULUMI_BACKEND_URL: labBackend });
    const failing = command.create("command:local:Command", { create: "echo broken >&2; exit 3" });
    await expect(failing).rejects.toThrow('exit status 3: running "echo broken >&2; exit 3":\nbroken');
  });
});

describe("Docker", () => {
  const type = "docker:index/secret:Secret";
  const create = async () =>
    docker.create(type, (await docker.check(type, { data: "eA==", labels: [] })).inputs);

  test("refuses another setting", async () => {
    await expect(docker.configure("docker", { host: "ssh://h", certPath: "/c" })).rejects.toThrow("certPath");
  });

  test("refuses a host that is not reached by SSH", async () => {
    await docker.configure("docker", { host: "tcp://127.0.0.1:2375" });
    await expect(create()).rejects.toThrow("reaches hosts by ssh:// only");
  });

  test("verifies the host key unless the settings say otherwise", async () => {
    const ssh = `#!/bin/sh\necho "$@" >>${folder}/asked\necho refused >&2\nexit 255\n`;
    fs.writeFileSync(path.join(folder, "ssh"), ssh, { mode: 0o755 });
    await docker.configure("docker", { host: "ssh://me@host:2022", sshOpts: '["-o","LogLevel=ERROR"]' });
    await expect(create()).rejects.toThrow("Docker cannot be reached: refused");
    expect(fs.readFileSync(path.join(folder, "asked"), "utf8")).toBe(
      "-o LogLevel=ERROR -o ConnectTimeout=30 -o StrictHostKeyChecking=yes -T -- ssh://me@host:2022 docker system dial-stdio\n",
    );
  });
});
