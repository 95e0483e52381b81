import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { main } from "../../../ops/main";
import { machinesStack } from "../../support/stacks";
import { appliedCloudConfig, appliedIgnition } from "../../support/userData";

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-ops-"));
const said = { out: "", error: "" };
let tests = 0;
const signature = { "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270" };

/** Stands in for Pulumi's command line: prints what a stack's configuration and state would be. */
const pulumi = `#!/bin/sh
echo "$*" >> "$ASKED"
case "$*" in
  *"--stack none"*) echo "error: no stack named 'none' found" >&2; exit 255 ;;
  config*--show-secrets*) cat "${folder}/config-shown.json" ;;
  config*) cat "${folder}/config.json" ;;
  "stack export"*--show-secrets*) cat "${folder}/state-shown.json" ;;
  "stack export"*) cat "${folder}/state.json" ;;
  "stack --show-name") echo dev ;;
esac
`;

function write(name: string, value: unknown): void {
  fs.writeFileSync(path.join(folder, name), JSON.stringify(value));
}

function configEntries(secret?: string) {
  const entries = Object.entries(machinesStack()).map(([key, value]): [string, object] => [
    `moorage:${key}`,
    typeof value === "string"
      ? { value, secret: false }
      : { value: JSON.stringify(value), objectValue: value, secret: false },
  ]);
  const config = Object.fromEntries(entries);
  if (secret) config[`moorage:${secret}`] = { secret: true };
  return { ...config, "other:key": { value: "1", secret: false } };
}

function state(privateKey: object) {
  const resource = (name: string, outputs: object) => ({
    urn: `urn:pulumi:dev::moorage::moorage:machine:NodeAccess$tls:index/privateKey:PrivateKey::${name}`,
    type: "tls:index/privateKey:PrivateKey",
    outputs,
  });
  return {
    deployment: {
      resources: [
        resource("coreos1-host-key", {
          privateKeyOpenssh: privateKey,
          publicKeyOpenssh: "ssh-ed25519 AAAAhost\n",
        }),
        resource("fleet-login-key", { publicKeyOpenssh: "ssh-ed25519 AAAAlogin\n" }),
      ],
    },
  };
}

beforeAll(() => {
  fs.writeFileSync(path.join(folder, "pulumi"), pulumi, { mode: 0o755 });
  vi.stubEnv("PATH", `${folder}:${process.env.PATH}`);
  write("config.json", configEntries());
  write("config-shown.json", configEntries());
  write("state.json", state({ ...signature, ciphertext: "v1:x" }));
  write("state-shown.json", state({ ...signature, plaintext: JSON.stringify("planted key\n") }));
});
beforeEach(() => {
  Object.assign(said, { out: "", error: "" });
  // A file for each test: what a test asked last may come after its end.
  vi.stubEnv("ASKED", path.join(folder, `asked-${++tests}`));
  const take = (text: unknown) => ((said.out += String(text)), true);
  vi.spyOn(process.stdout, "write").mockImplementation(take);
  vi.spyOn(console, "log").mockImplementation((text) => void (said.out += `${text}\n`));
  vi.spyOn(console, "error").mockImplementation((text) => void (said.error += `${text}\n`));
});
afterAll(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  fs.rmSync(folder, { recursive: true });
});

const asked = () =>
  fs
    .readFileSync(process.env.ASKED ?? "", "utf8")
    .trim()
    .split("\n")
    .sort();

describe("the command line", () => {
  test("lists its commands", async () => {
    expect(await main(["help"])).toBe(0);
    expect(said.out).toContain(
      "render NODE [--stack STACK] [--format ignition|cloud-config] [--whole] [--secrets]",
    );
    expect(await main([])).toBe(2);
  });

  test("answers what it does not know with what there is", async () => {
    expect(await main(["rendr"])).toBe(2);
    expect(said.error).toMatch(/^there is no command rendr\n[^]*render NODE/);
  });

  test.each(["toString", "constructor"])("has no command %s", async (name) => {
    expect(await main([name])).toBe(2);
    expect(said.error).toContain(`there is no command ${name}`);
  });

  test.each([
    [["render"], "which node's user data?"],
    [["render", "coreos1", "coreos2"], "one node at a time, not coreos1, coreos2"],
    [["render", "coreos1", "--format", "yaml"], "--format yaml: there is ignition and cloud-config"],
    [["render", "coreos1", "--loud"], "--loud"],
    [["live"], "which node's live system?"],
    [["live", "coreos1", "--format", "yaml"], "--format yaml: there is ignition and cloud-config"],
    [
      ["live", "coreos1", "--config-drive", "f", "--format", "ignition"],
      "--config-drive: a live system reads",
    ],
    [["live", "coreos1", "--mirror", "http://a"], "--release and --mirror are for the script of --ipxe"],
  ])("answers %j with the command's usage", async (args, expected) => {
    expect(await main(args)).toBe(2);
    expect(said.error).toContain(expected);
    expect(said.error).toContain(`npm run -s moorage -- ${args[0]} NODE`);
  });
});

describe("verify", () => {
  test("answers an option that there is not with its usage", async () => {
    expect(await main(["verify", "--verbos"])).toBe(2);
    expect(said.error).toMatch(/^Unknown option '--verbos'[^]*npm run -s moorage -- verify \[--stack S\]/);
  });

  test("tells a stack that was never brought up as such, without a trace", async () => {
    write("state-shown.json", { deployment: { resources: [] } });
    expect(await main(["verify", "--stack", "prod"])).toBe(1);
    expect(asked()).toEqual(["stack export --show-secrets --stack prod"]);
    expect(said.error).toBe("stack at hand has no nodes in its state: run `pulumi up` first\n");
    write("state-shown.json", state({ ...signature, plaintext: JSON.stringify("planted key\n") }));
  });
});

describe("live", () => {
  test("prints what the live system is told, and writes it to a config drive once", async () => {
    const stored = state({ ...signature, plaintext: JSON.stringify("planted key\n") });
    const [host, ...others] = stored.deployment.resources;
    const live = { ...host, urn: host?.urn.replace("coreos1-host-key", "coreos1-installer-host-key") };
    write("state-shown.json", { deployment: { resources: [live, ...others] } });
    expect(await main(["live", "coreos1", "--secrets"])).toBe(0);
    expect(appliedIgnition(said.out).files["/etc/ssh/ssh_host_ed25519_key"]?.content).toBe("planted key\n");
    const drive = path.join(folder, "coreos1.iso");
    expect(await main(["live", "coreos1", "--config-drive", drive])).toBe(0);
    expect(fs.statSync(drive).mode & 0o777).toBe(0o600);
    expect(said.error).toContain("kernel is told flatcar.configdrive=1");
    expect(fs.readFileSync(drive).includes("planted key")).toBe(true);
    expect(await main(["live", "coreos1", "--config-drive", drive])).toBe(1);
    expect(said.error).toContain("the config drive cannot be written: EEXIST");
    write("state-shown.json", stored);
    expect(await main(["live", "coreos1", "--config-drive", path.join(folder, "early.iso")])).toBe(1);
    expect(said.error).toContain("coreos1: the keys of its live system are not made yet. Run pulumi up once");
  });

  test("prints iPXE's script from the configuration alone", async () => {
    expect(await main(["live", "coreos1", "--ipxe", "http://10.0.2.5"])).toBe(0);
    expect(asked()).toEqual(["config --json"]);
    expect(said.out).toMatch(/^#!ipxe\n[^]*ignition\.config\.url=http:\/\/10\.0\.2\.5\/coreos1\.ign\n/);
  });
});

describe("render", () => {
  test("asks Pulumi alone, without secrets, and prints placeholders for them", async () => {
    expect(await main(["render", "coreos1", "--stack", "dev"])).toBe(0);
    expect(asked()).toEqual(["config --json --stack dev", "stack export --stack dev"]);
    const { files, users } = appliedIgnition(said.out);
    expect(files["/etc/ssh/ssh_host_ed25519_key"]?.content).toBe(
      "(host key of coreos1: shown with --secrets)\n",
    );
    expect(users.core?.keys).toEqual(["ssh-ed25519 AAAAlogin"]);
  });

  test("shows secrets when it is told to, of the stack at hand", async () => {
    expect(await main(["render", "coreos1", "--secrets", "--format", "cloud-config"])).toBe(0);
    expect(asked()).toEqual(["config --json --show-secrets", "stack export --show-secrets"]);
    const { files } = appliedCloudConfig(said.out);
    expect(files["/etc/ssh/ssh_host_ed25519_key"]?.content).toBe("planted key\n");
    expect(files["/etc/moorage/install.json"]?.content).toMatch(
      /^\{"installHash":"[0-9a-f]{64}","stack":"moorage\/dev","node":"coreos1"\}\n$/,
    );
  });

  test("says in Pulumi's words why a stack cannot be read", async () => {
    expect(await main(["render", "coreos1", "--stack", "none"])).toBe(1);
    expect(said.error).toContain("cannot be read: error: no stack named 'none' found");
  });

  describe("of a configuration with secrets of its own", () => {
    const token = { "/etc/own/token": { content: "planted token" } };
    const secure = { "/etc/own/token": { content: { secure: "v1:AAAA:BBBB" } } };

    /** What Pulumi shows of a configuration, and its file; a subject with a secret is told with all secrets or not at all. */
    function configure(files: object, inFile: object): void {
      const own = { ...machinesStack() };
      own.os = { ...own.os, files };
      const shown = configEntries() as Record<string, object>;
      shown["moorage:os"] = { value: JSON.stringify(own.os), objectValue: own.os, secret: true };
      write("config-shown.json", shown);
      write("config.json", configEntries("os"));
      write("Pulumi.dev.yaml", { config: { "moorage:os": { ...own.os, files: inFile } } });
    }

    beforeEach(() => {
      vi.stubEnv("PULUMI_OPTION_CONFIG_FILE", path.join(folder, "Pulumi.dev.yaml"));
      configure(token, secure);
    });
    afterAll(() => {
      write("config.json", configEntries());
      write("config-shown.json", configEntries());
    });

    test("leaves them out, and says where they would be", async () => {
      expect(await main(["render", "coreos1", "--whole"])).toBe(0);
      expect(asked()).toEqual([
        "config --json",
        "config --json --show-secrets",
        "stack --show-name",
        "stack export",
      ]);
      expect(decodeURIComponent(said.out.replace(/%(?![0-9A-F]{2})/g, ""))).not.toContain("planted");
      expect(appliedIgnition(said.out).files["/etc/own/token"]?.content).toBe(
        "(os.files./etc/own/token.content: shown with --secrets)",
      );
    });

    test("shows them when it is told to", async () => {
      expect(await main(["render", "coreos1", "--whole", "--secrets"])).toBe(0);
      expect(appliedIgnition(said.out).files["/etc/own/token"]?.content).toBe("planted token");
    });

    test("refuses what the program would refuse, and shows none of it", async () => {
      configure(
        { "/etc/own/token": { content: "x", owner: "planted" } },
        {
          "/etc/own/token": { content: "x", owner: { secure: "v1:AAAA:BBBB" } },
        },
      );
      expect(await main(["render", "coreos1"])).toBe(1);
      expect(said.error).toContain(
        "moorage:os.files./etc/own/token.owner: found a secret; wanted a value in clear",
      );
      expect(said.out + said.error).not.toContain("planted");
    });
  });

  test("tells every mistake of the configuration", async () => {
    write("config.json", { ...configEntries(), "moorage:netwrk": { value: "1", secret: false } });
    expect(await main(["render", "coreos1"])).toBe(1);
    expect(said.error).toContain("moorage:netwrk: found an unknown key");
    write("config.json", configEntries());
  });
});
