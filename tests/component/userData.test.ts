import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { Fleet } from "../../components/machine/fleet";
import { hashCommand } from "../../components/machine/userPasswords";
import { CertificateAuthority } from "../../components/pki";
import { renderNode } from "../../ops/render";
import { parseStackConfig } from "../../config/stack";
import { plain, secretPaths, shown, stateOf, type Recorder } from "../support/mocks";
import { rawStack, type RawConfig } from "../support/stacks";
import { appliedCloudConfig, appliedIgnition } from "../support/userData";
import { differences, labConfig, rawConfig, recorded } from "./parts";
import { program } from "./program";

const references = { minio: "m", registry: "r", nginx: "n", haproxy: "h", keepalived: "k" };

function fleetOf(change?: (raw: RawConfig) => void): Promise<Recorder> {
  return recorded(() => {
    const authority = new CertificateAuthority("ca", { commonName: "Moorage test" });
    new Fleet("fleet", { config: labConfig(change), authority, images: { references, archives: {} } });
  });
}

const withPassword = (raw: RawConfig) => void (raw.os = { ...raw.os, users: { usera: { password: true } } });
const withMd5 = (raw: RawConfig) => {
  const users = { usera: { password: true, insecureMd5Password: true } };
  raw.os = { ...raw.os, distribution: "coreos", users };
};
const withoutPassword = (raw: RawConfig) => void (raw.os = { ...raw.os, users: { usera: {} } });

describe("a user's password", () => {
  let recorder: Recorder;
  beforeAll(async () => void (recorder = await fleetOf(withPassword)));

  test("is made by the program, and its hash by openssl, which gets it by its standard input", () => {
    expect(recorder.children("fleet-user")).toEqual([
      "Command fleet-user-usera-hash",
      "RandomPassword fleet-user-usera",
    ]);
    const { inputs } = recorder.named("fleet-user-usera-hash");
    expect(plain(inputs)).toEqual({
      create: hashCommand(false),
      stdin: "private fleet-user-usera",
      logging: "none",
    });
    expect(secretPaths(inputs)).toEqual(["stdin"]);
  });

  test("keeps its hash while it is the same, however the command is written, and has another by the command of now", async () => {
    const hash = recorder.named("fleet-user-usera-hash");
    expect(hash.ignoreChanges).toEqual(["create"]);
    expect(hash.replaceOnChanges).toContain("stdin");
    // The kind of hash is told by the command alone, so each has a name of its own.
    const names = (await fleetOf(withMd5)).children("fleet-user");
    expect(names).toEqual(["Command fleet-user-usera-hash-md5", "RandomPassword fleet-user-usera"]);
  });

  test("reaches every node by its hash, in user data and afterwards, and stays secret", () => {
    for (const node of ["coreos1", "coreos4"]) {
      const installation = recorder.named(`${node}-installation`).inputs;
      expect(secretPaths(installation)).toContain("userData");
      const { users } = appliedIgnition(String(plain(installation.userData)));
      expect(users.usera?.passwordHash).toBe("$6$salt$private fleet-user-usera-hash");
      const { inputs } = recorder.named(`${node}-base`);
      expect(secretPaths(inputs)).toContain("files./etc/moorage/passwords.content");
      const { files } = plain(inputs) as { files: Record<string, object> };
      expect(files["/etc/moorage/passwords"]).toMatchObject({
        content: "usera:$6$salt$private fleet-user-usera-hash\n",
        mode: 0o600,
        apply: { action: "restart", unit: "moorage-passwords.service" },
      });
    }
    for (const one of recorder.resources) {
      expect(JSON.stringify(shown(one.inputs)), one.name).not.toMatch(/private fleet-user/);
    }
  });

  test("is no reason to install a node anew", async () => {
    const without = await fleetOf(withoutPassword);
    const hashOf = (one: Recorder) => one.named("coreos1-installation").inputs.installHash;
    expect(hashOf(recorder)).toBe(hashOf(without));
    expect(hashOf(recorder)).toMatch(/^[0-9a-f]{64}$/);
    const changed = differences(without, recorder).filter((one) => one.includes("coreos1"));
    expect(changed).toEqual(["~ Installation coreos1-installation", "~ NodeFilesPart coreos1-base"]);
  });

  test("is made with MD5 where Container Linux is told so", async () => {
    const old = await fleetOf(withMd5);
    expect(old.named("fleet-user-usera-hash-md5").inputs.create).toBe("openssl passwd -1 -stdin");
  });

  test("is an output of the stack, secret, where somebody has one", async () => {
    const outputs = (await program(rawConfig(withPassword))).outputs.get("moorage-dev");
    expect(secretPaths(outputs)).toContain("consolePasswords.usera");
    const without = await program(rawConfig((raw) => void delete raw.os));
    expect(without.outputs.get("moorage-dev")).not.toHaveProperty("consolePasswords");
  });
});

describe("the hash of a password", () => {
  const libreSsl = `#!/bin/sh
case "$*" in *-6*) echo "unknown option '-6'" >&2; exit 1 ;; *) echo '$1$salt$of' "$(cat)" ;; esac
`;
  const openSsl = "#!/bin/sh\n[ \"$*\" = 'passwd -6 -stdin' ] && echo '$6$salt$of' \"$(cat)\"\n";

  /** What the command prints on a machine with these programs, by their folders there. */
  function hashed(md5: boolean, programs: Record<string, string>) {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-openssl-"));
    onTestFinished(() => fs.rmSync(folder, { recursive: true }));
    for (const [name, text] of Object.entries(programs)) {
      fs.mkdirSync(path.join(folder, name), { recursive: true });
      fs.writeFileSync(path.join(folder, name, "openssl"), text, { mode: 0o755 });
    }
    const command = hashCommand(md5).replaceAll(/ (\/(opt|usr))/g, ` ${folder}$1`);
    const env = { PATH: `${path.join(folder, "bin")}:/usr/bin:/bin` };
    const { status, stdout, stderr } = spawnSync("/bin/sh", ["-c", command], {
      ...{ input: "planted", env, encoding: "utf8" },
    });
    return { status, stdout, stderr };
  }

  test("is made by the openssl of the PATH", () => {
    expect(hashed(false, { bin: openSsl })).toEqual({
      status: 0,
      stdout: "$6$salt$of planted\n",
      stderr: "",
    });
    expect(hashed(false, {}).stdout).toMatch(/^\$6\$[./0-9A-Za-z]+\$[./0-9A-Za-z]{86}\n$/);
  });

  test.each(["opt/homebrew/opt/openssl/bin", "usr/local/opt/openssl/bin", "opt/local/bin"])(
    "is made by the one in /%s where macOS's own is LibreSSL",
    (folder) => {
      const { status, stdout } = hashed(false, { bin: libreSsl, [folder]: openSsl });
      expect({ status, stdout }).toEqual({ status: 0, stdout: "$6$salt$of planted\n" });
    },
  );

  test("is said to take another openssl where there is none that can make it", () => {
    const { status, stdout, stderr } = hashed(false, { bin: libreSsl });
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr.trimEnd().split("\n").at(-1)).toBe(
      "No openssl here makes a hash with SHA-512, by passwd -6: that takes OpenSSL 1.1.1 or newer, and the one of " +
        "macOS is LibreSSL. Install it, on macOS by brew install openssl, and run again",
    );
    expect(hashCommand(false) + stderr).not.toContain("planted");
  });

  test("with MD5 is made by either", () => {
    expect(hashed(true, { bin: libreSsl })).toMatchObject({ status: 0, stdout: "$1$salt$of planted\n" });
  });
});

describe("the format of user data", () => {
  test("is left out of the installation where it is Ignition, so that no stack changes for it", async () => {
    const { inputs } = (await fleetOf()).named("coreos1-installation");
    expect(inputs).not.toHaveProperty("format");
    expect(inputs).not.toHaveProperty("tryoutSeconds");
  });

  test("is handed to the installation where it is a cloud-config", async () => {
    const recorder = await fleetOf((raw) => void (raw.os = { ...raw.os, format: "cloud-config" }));
    const { inputs } = recorder.named("coreos2-installation");
    expect(inputs.format).toBe("cloud-config");
    expect(inputs.tryoutSeconds).toBe(60);
    expect(appliedCloudConfig(String(plain(inputs.userData))).hostname).toBe("coreos2");
  });
});

describe("moorage render", () => {
  const everything = (raw: RawConfig) => {
    raw.os = {
      ...raw.os,
      users: { usera: { password: true, groups: ["sudo", "kvm"] } },
      timeZone: "America/New_York",
      clockTimer: true,
    };
    const vlans = { v7: { id: 7, address: "10.30.0.11/24" } };
    Object.assign(raw.nodes?.coreos1 as object, { vlans });
  };
  const options = { whole: false, secrets: true };

  test.each(["ignition", "cloud-config"])("prints what pulumi up installs, in %s", async (format) => {
    const change = (raw: RawConfig) => {
      everything(raw);
      raw.os = { ...raw.os, format };
    };
    const recorder = await program(rawConfig(change));
    for (const node of ["coreos1", "coreos2", "coreos3", "coreos4"]) {
      const { userData } = recorder.named(`${node}-installation`).inputs;
      expect(renderNode(node, labConfig(change), stateOf(recorder), options)).toBe(plain(userData));
    }
  });

  test("prints with --whole what pulumi up puts on the node afterwards, too", async () => {
    const recorder = await program(rawConfig(everything));
    const text = renderNode("coreos1", labConfig(everything), stateOf(recorder), { ...options, whole: true });
    const { files, units } = appliedIgnition(text);
    const base = plain(recorder.named("coreos1-base").inputs) as {
      files: Record<string, { content: string; mode: number }>;
      units: Record<string, { content?: string; dropIns?: object }>;
    };
    for (const [path, { content, mode }] of Object.entries(base.files)) {
      expect(files[path], path).toMatchObject({ content, mode });
    }
    for (const [name, { content, dropIns }] of Object.entries(base.units)) {
      expect(units[name]?.content, name).toBe(content);
      expect(units[name]?.dropIns, name).toMatchObject(dropIns ?? {});
    }
  });

  test("leaves secrets out unless it is told to show them, and says where they would be", async () => {
    const recorder = await program(rawConfig(everything));
    const text = renderNode("coreos1", labConfig(everything), stateOf(recorder), {
      whole: true,
      secrets: false,
    });
    const { files, users } = appliedIgnition(text);
    expect(decodeURIComponent(text.replace(/%(?![0-9A-F]{2})/g, ""))).not.toMatch(/private /);
    expect(users.usera?.passwordHash).toBe("(password hash of usera: shown with --secrets)");
    expect(files["/etc/ssh/ssh_host_ed25519_key"]?.content).toBe(
      "(host key of coreos1: shown with --secrets)\n",
    );
    expect(files["/etc/docker/tls/key.pem"]?.content).toBe("(key of Docker's API: shown with --secrets)");
    expect(files["/etc/ssh/ssh_host_ed25519_key.pub"]?.content).toBe("ssh-ed25519 coreos1-host-key\n");
    expect(files["/etc/moorage/install.json"]?.content).toContain("(digest of the installation: shown with");
  });

  test("works before anything was made", () => {
    const text = renderNode("coreos1", labConfig(everything), [], { whole: true, secrets: true });
    expect(appliedIgnition(text).files["/etc/ssh/ssh_host_ed25519_key"]?.content).toBe(
      "(host key of coreos1: made by the first pulumi up)\n",
    );
  });

  test("prints the other format where the distribution takes it, and says so where it does not", () => {
    const cloudConfig = { ...options, format: "cloud-config" } as const;
    expect(renderNode("coreos1", labConfig(), [], cloudConfig)).toMatch(/^#cloud-config\n/);
    const fedora = labConfig((raw) => void (raw.os = { ...raw.os, distribution: "fedora-coreos" }));
    expect(() => renderNode("coreos1", fedora, [], cloudConfig)).toThrow("Fedora CoreOS has no cloud-config");
  });

  test("says which nodes there are, and which have no user data", () => {
    expect(() => renderNode("coreos9", labConfig(), [], options)).toThrow(
      "coreos9 is no node of this stack; wanted: one of coreos1, coreos2, coreos3, coreos4",
    );
    const existing = parseStackConfig(rawStack("existing"));
    expect(() => renderNode("node1", existing, [], options)).toThrow("node1: a host that ran before");
  });
});
