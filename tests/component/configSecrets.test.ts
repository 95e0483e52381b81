import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { stringify } from "yaml";
import { loadConfig } from "../../config";
import { secretsIn } from "../../config/secrets";
import { parseStackConfig } from "../../config/stack";
import { VirtualBoxNetwork } from "../../components/machine/virtualBoxNetwork";
import { plain, Recorder, secretPaths, shown } from "../support/mocks";
import { rawStack, type RawConfig } from "../support/stacks";
import { differences, rawConfig, recorded } from "./parts";
import { program, setConfig } from "./program";

const proxy = "http://proxyuser:planted%40proxy$1@10.0.2.1:3128";
const planted = /planted/;
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-test-"));
const file = path.join(folder, "Pulumi.dev.yaml");
const secure = { secure: "v1:AAAA:BBBB" };

/** Everything of a user's own that may be secret, as it is given (`text`) or as it stands in the stack's file. */
function withSecrets(raw: RawConfig, text: (secret: string) => unknown = (secret) => secret): void {
  raw.os = {
    ...raw.os,
    proxies: { http: text(proxy), exclude: ["example.com"] },
    files: {
      "/etc/own/token": { content: text("planted token\n"), permissions: "0600" },
      "/etc/own/plain": { content: "seen by everybody\n" },
    },
    units: {
      "own.service": { content: text("[Service]\nExecStart=/bin/true\nEnvironment=KEY=planted\n") },
      "other.service": { dropIns: { "10-own.conf": text("[Service]\nEnvironment=KEY=planted\n") } },
    },
  };
}

function writeFile(raw: RawConfig): void {
  const config = Object.fromEntries(Object.entries(raw).map(([key, value]) => [`moorage:${key}`, value]));
  fs.writeFileSync(file, stringify({ encryptionsalt: "v1:x", config }));
}

beforeAll(() => {
  vi.stubEnv("PULUMI_OPTION_CONFIG_FILE", file);
  vi.stubEnv("PULUMI_CONFIG_PASSPHRASE", "x");
});
afterAll(() => {
  vi.unstubAllEnvs();
  fs.rmSync(folder, { recursive: true });
});

describe("secrets of the configuration", () => {
  let recorder: Recorder;
  let inClear: Recorder;
  beforeAll(async () => {
    writeFile(rawConfig((raw) => withSecrets(raw, () => secure)));
    recorder = await program(rawConfig(withSecrets), {}, ["os"]);
    inClear = await program(rawConfig(withSecrets));
  });

  test("stay secret in everything that is made of them, and nothing else becomes one", () => {
    const { inputs } = recorder.named("coreos1-base");
    const before = secretPaths(inClear.named("coreos1-base").inputs);
    expect(secretPaths(inputs).filter((one) => !before.includes(one))).toEqual([
      "files./etc/environment.content",
      "files./etc/own/token.content",
      "units.[docker.service].dropIns.[10-moorage-proxy.conf]",
      "units.[other.service].dropIns.[10-own.conf]",
      "units.[own.service].content",
    ]);
    const installation = recorder.named("coreos1-installation").inputs;
    expect(secretPaths(installation)).toContain("proxies.http");
  });

  test("are nowhere in clear: neither in inputs nor in outputs", () => {
    const clear = (value: unknown) => JSON.stringify(shown(value));
    for (const one of recorder.resources) expect(clear(one.inputs), one.name).not.toMatch(planted);
    for (const [name, outputs] of recorder.outputs) expect(clear(outputs), name).not.toMatch(planted);
    expect(recorder.resources.some((one) => planted.test(JSON.stringify(plain(one.inputs))))).toBe(true);
  });

  test("reach the nodes as they are, and are no reason to install one anew", () => {
    const of = (one: Recorder) => plain(one.named("coreos1-base").inputs);
    expect(of(recorder)).toEqual(of(inClear));
    const hash = (one: Recorder) => one.named("coreos1-installation").inputs.installHash;
    expect(hash(recorder)).toBe(hash(inClear));
    const changed = differences(inClear, recorder).map((line) => line.replace(/coreos\d/, "NODE"));
    expect([...new Set(changed)]).toEqual(["~ Installation NODE-installation", "~ NodeFilesPart NODE-base"]);
  });

  test("keep their mark where the hypervisor fetches the installer's image", async () => {
    const raw = rawStack("dev");
    withSecrets(raw, () => secure);
    writeFile(raw);
    const given = rawStack("dev");
    withSecrets(given);
    const config = parseStackConfig(given, secretsIn(given, ["os"], fs.readFileSync(file, "utf8")));
    const made = await recorded(() => void new VirtualBoxNetwork("virtualbox", { config, access: {} }));
    expect(secretPaths(made.named("virtualbox-iso").inputs)).toContain("proxies.http");
  });
});

type Change = (raw: RawConfig) => void;

describe("a secret that would show", () => {
  /** What reading a configuration ends with; `inFile` is `undefined` where there is no stack file. */
  const outcome = async (change: Change, inFile: Change | undefined, secret: string[]): Promise<string> => {
    if (inFile) writeFile(rawConfig(inFile));
    else fs.rmSync(file, { force: true });
    await new Recorder().install();
    setConfig(rawConfig(change), secret);
    try {
      loadConfig();
    } catch (error) {
      return (error as Error).message;
    }
    return "";
  };

  test("is refused with its path before anything is registered, all of them at once, and not shown", async () => {
    const message = await outcome(
      (raw) => {
        raw.os = { ...raw.os, motd: "planted motd", ntp: ["planted.example.com"] };
        raw.network = { ...raw.network, gateway: "planted gateway" };
      },
      (raw) => {
        raw.os = { ...raw.os, motd: secure, ntp: [secure] };
        raw.network = { ...raw.network, gateway: secure };
      },
      ["os", "network"],
    );
    expect(message).toMatch(/3 mistakes; nothing was touched/);
    for (const path of ["os.motd", "os.ntp.0", "network.gateway"]) {
      expect(message).toContain(
        `moorage:${path}: found a secret; wanted a value in clear; secret may be os.files.NAME`,
      );
    }
    expect(message).not.toMatch(planted);
  });

  test("hides no mistake in another subject, and shows nothing of its own", async () => {
    const change = (secret: unknown) => (raw: RawConfig) => {
      raw.network = { ...raw.network, gateway: secret, mtu: 1, domain: "planted domain" };
      raw.swarm = { ...raw.swarm, tasksMax: 1, logMaxSize: "planted gateway" };
      raw.edge = { ...raw.edge, vip: "10.9.9.9" };
      (raw as Record<string, unknown>).netwrk = {};
    };
    const message = await outcome(change("planted gateway"), change(secure), ["network"]);
    expect(
      message
        .split("\n")
        .slice(1)
        .map((line) => line.trim().replace(/; wanted .*/, "")),
    ).toEqual([
      "moorage:network.gateway: found a secret",
      "moorage:netwrk: found an unknown key",
      'moorage:swarm.logMaxSize: found "[secret]"',
      "moorage:swarm.tasksMax: found 1",
    ]);
    expect(message).toMatch(/4 mistakes; nothing was touched/);
  });

  test("is refused as a whole where the file does not show where it is, or is another's", async () => {
    const message = /moorage:os: found a secret whose place the stack's file does not show/;
    const none = () => undefined;
    expect(await outcome(withSecrets, none, ["os"])).toMatch(message);
    const other = (raw: RawConfig) => {
      withSecrets(raw, () => secure);
      raw.os = { ...raw.os, timeZone: "Europe/Berlin" };
    };
    expect(await outcome(withSecrets, other, ["os"])).toMatch(message);
    expect(await outcome(withSecrets, undefined, ["os"])).toMatch(message);
  });

  test("a whole subject is none of the places", async () => {
    const message = await outcome(withSecrets, (raw) => void (raw.os = secure), ["os"]);
    expect(message).toMatch(/moorage:os: found a secret; wanted a value in clear/);
  });

  test("is not shown by a mistake either", async () => {
    const message = await outcome(
      (raw) => void (raw.os = { ...raw.os, proxies: { http: "ftp://planted" }, version: "!ftp://planted" }),
      (raw) => void (raw.os = { ...raw.os, proxies: { http: secure }, version: "!ftp://planted" }),
      ["os"],
    );
    expect(message).toContain(
      "moorage:os.proxies.http: found a secret; wanted a URL that starts with http://",
    );
    expect(message).toContain('moorage:os.version: found "![secret]"');
    expect(message).not.toMatch(planted);
  });
});

describe("a passphrase that the environment does not have", () => {
  beforeAll(() => {
    vi.stubEnv("PULUMI_CONFIG_PASSPHRASE", undefined);
    vi.stubEnv("PULUMI_CONFIG_PASSPHRASE_FILE", undefined);
  });

  /** What reading an empty configuration ends with. */
  async function outcome(salt: string, preview = false): Promise<string> {
    fs.writeFileSync(file, `${salt}\nconfig: {}\n`);
    await pulumi.runtime.setMocks(new Recorder(), "moorage", "dev", preview, "organization");
    pulumi.runtime.setAllConfig({});
    try {
      loadConfig();
    } catch (error) {
      return (error as Error).message;
    }
    return "";
  }
  const asksForIt = /encrypted with a passphrase.* nothing was touched\. Set PULUMI_CONFIG_PASSPHRASE_FILE/;

  test("is asked for before anything is touched", async () => {
    expect(await outcome("encryptionsalt: v1:x")).toMatch(asksForIt);
  });

  test("is not asked for in a preview, or of a stack that has none", async () => {
    expect(await outcome("encryptionsalt: v1:x", true)).toMatch(/nodes/);
    expect(await outcome("secretsprovider: awskms://alias/x")).toMatch(/nodes/);
    vi.stubEnv("PULUMI_CONFIG_PASSPHRASE", "");
    expect(await outcome("encryptionsalt: v1:x")).toMatch(/nodes/);
  });
});
