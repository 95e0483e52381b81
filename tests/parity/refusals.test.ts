import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { defaultSetting } from "../../toolchain/setting";
import { writeStarter } from "../../toolchain/standIns";
import { Plugin } from "./plugin";

const setting = defaultSetting(() => undefined);
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-refusals-"));
const started: Plugin[] = [];

async function standIn(name: string, env: Record<string, string>): Promise<Plugin> {
  const program = writeStarter(setting, { name, version: "1.0.0" }, folder);
  const plugin = await Plugin.start(program, { MOORAGE_LAB_DIR: "/the/labs", ...env });
  started.push(plugin);
  return plugin;
}

let random: Plugin;
let docker: Plugin;
beforeAll(async () => {
  random = await standIn("random", { PULUMI_BACKEND_URL: "file:///the/labs/0/backend" });
  docker = await standIn("docker", {
    PULUMI_BACKEND_URL: "file:///the/labs/0/backend",
    PATH: `${folder}:${process.env.PATH}`,
  });
  await random.configure("random");
});
afterAll(() => {
  started.forEach((plugin) => plugin.stop());
  fs.rmSync(folder, { recursive: true });
});

const idType = "random:index/randomId:RandomId";

describe("a stand-in", () => {
  test.each([
    "",
    "file:///another/folder",
    "file:///the/labs",
    "file:///the/labs/../other",
    "s3://the/labs/0/backend",
  ])("refuses a stack whose state lies in '%s'", async (backend) => {
    const plugin = await standIn("random", { PULUMI_BACKEND_URL: backend });
    await expect(plugin.check(idType, { byteLength: 8 })).rejects.toThrow(
      "stack dev is none of the lab's, and the lab's stand-ins for provider plugins work for no other",
    );
  });

  test.each(["urn:pulumi:prod::moorage", "urn:pulumi:dev::another"])(
    "refuses %s in the lab's own backend",
    async (stack) => {
      const other = random.check(idType, { byteLength: 8 }, {}, "it", stack);
      await expect(other).rejects.toThrow("is none of the lab's");
    },
  );

  describe("where MOORAGE_STAND_INS_FOR names a backend", () => {
    const inputs = { byteLength: 8 };
    const named = (backend: string, other = backend) =>
      standIn("random", { PULUMI_BACKEND_URL: backend, MOORAGE_STAND_INS_FOR: other });
    const asked = async (plugin: Plugin, stack?: string) => plugin.check(idType, inputs, {}, "it", stack);

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
    ])("refuses '%s', in which a stack may be kept", async (backend) => {
      await expect(asked(await named(backend))).rejects.toThrow("is none of the lab's");
    });

    test("refuses every other, and a lab's own as before", async () => {
      const [one, other] = ["one", "other"].map((name) => `file://${path.join(os.tmpdir(), name)}`);
      await expect(asked(await named(one ?? "", other))).rejects.toThrow("is none of the lab's");
      const lab = await named("file:///the/labs/0/backend", other);
      await expect(asked(lab, "urn:pulumi:dev::another")).rejects.toThrow("is none of the lab's");
      expect((await asked(lab)).failures).toEqual([]);
    });

    test.each([
      `file://${os.tmpdir()}/some/test`,
      "file:///the/labs/0/empty/backend",
      `file://${os.tmpdir()}/some/test?metadata=skip`,
    ])("serves any stack in %s", async (backend) => {
      expect((await asked(await named(backend), "urn:pulumi:prod::another")).failures).toEqual([]);
    });
  });

  test("refuses a type that it does not have, by name", async () => {
    await expect(random.check("random:index/randomPet:RandomPet", {})).rejects.toThrow(
      "the lab's stand-in for the plugin random makes no random:index/randomPet:RandomPet",
    );
  });

  test.each([
    ["a function", () => random.invoke("random:index/getPet:getPet"), "function random:index/getPet:getPet"],
    ["a method", () => random.call(`${idType}/renew`), `method ${idType}/renew`],
    ["a component", () => random.construct("random:index:Pets"), "component random:index:Pets"],
  ])("refuses %s, by name", async (_what, ask, name) => {
    const text = `the lab's stand-in for the plugin random has no ${name}: Moorage needs none`;
    await expect(ask()).rejects.toThrow(text);
  });

  test("refuses an import, by its type alone: the id of a password is the password", async () => {
    const type = "random:index/randomPassword:RandomPassword";
    const imported = random.read(type, { id: "hush", inputs: {}, outputs: {} });
    await expect(imported).rejects.toThrow(`the lab's stand-in for the plugin random imports no ${type}`);
    await expect(imported).rejects.not.toThrow("hush");
  });

  const networkType = "docker:index/network:Network";
  const network = { name: "services", driver: "overlay" };

  test.each([
    ["prefix", () => random.check(idType, { byteLength: 8, prefix: "x" })],
    ["internal", () => docker.check(networkType, { ...network, internal: true })],
    [
      "ipamConfigs[0].ipRange",
      () => docker.check(networkType, { ...network, ipamConfigs: [{ ipRange: "10.0.0.0/25" }] }),
    ],
  ])("refuses the property %s, which it does not have, by name", async (property, check) => {
    expect((await check()).failures).toEqual([
      { property, reason: expect.stringContaining("does not have this property") },
    ]);
  });

  test("refuses another value than those that it has, by the property's name and with them", async () => {
    expect((await docker.check(networkType, { ...network, driver: "bridge" })).failures).toEqual([
      { property: "driver", reason: 'value must be one of: overlay, got: "bridge"' },
    ]);
  });

  test.each([
    [{}, "Missing required property 'byteLength'"],
    [{ byteLength: "8" }, "wanted: a number, found: a string"],
  ])("refuses %j as inputs", async (inputs, reason) => {
    expect((await random.check(idType, inputs)).failures).toEqual([{ property: "byteLength", reason }]);
  });

  test("refuses content that is no base64, without showing it", async () => {
    const { failures } = await docker.check("docker:index/secret:Secret", { data: "hush!", labels: [] });
    expect(failures).toEqual([{ property: "data", reason: expect.stringContaining("value must match") }]);
    expect(JSON.stringify(failures)).not.toContain("hush");
  });

  test("refuses a setting that it does not have, but for what a published plugin notes among them", async () => {
    await expect(docker.configure("docker", { host: "ssh://h", certPath: "/c" })).rejects.toThrow("certPath");
    await docker.configure("docker", { host: "ssh://h", "__pulumi-go-provider-version": "1" });
  });

  test("refuses a Docker that is not reached by SSH", async () => {
    await docker.configure("docker", { host: "tcp://127.0.0.1:2375" });
    const config = "docker:index/serviceConfig:ServiceConfig";
    const { inputs } = await docker.check(config, { data: "eA==", labels: [] });
    await expect(docker.create(config, inputs)).rejects.toThrow("reaches hosts by ssh:// only");
  });

  test("asks ssh for a known host key, unless the settings say another thing first", async () => {
    fs.writeFileSync(
      path.join(folder, "ssh"),
      `#!/bin/sh\necho "$@" >>${folder}/asked\necho refused >&2\nexit 255\n`,
      { mode: 0o755 },
    );
    await docker.configure("docker", { host: "ssh://me@host:2022", sshOpts: '["-o","LogLevel=ERROR"]' });
    const config = "docker:index/serviceConfig:ServiceConfig";
    const { inputs } = await docker.check(config, { data: "eA==", labels: [] });
    await expect(docker.create(config, inputs)).rejects.toThrow("Docker cannot be reached: refused");
    expect(fs.readFileSync(path.join(folder, "asked"), "utf8")).toBe(
      "-o LogLevel=ERROR -o ConnectTimeout=30 -o StrictHostKeyChecking=yes -T -- ssh://me@host:2022 docker system dial-stdio\n",
    );
  });
});
