import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { hashCommand } from "../../components/machine/userPasswords";
import { parseStackConfig } from "../../config/stack";
import { renderNode } from "../../ops/render";
import { plain, secretPaths, shown, stateOf, type Recorder } from "../support/mocks";
import { rawStack, type RawConfig } from "../support/stacks";
import { appliedCloudConfig, appliedIgnition } from "../support/userData";
import { differences, labConfig, machinesOf, type Change } from "./parts";

const machines = (change?: Change): Promise<Recorder> => machinesOf(labConfig(change));

const withPassword = (raw: RawConfig) => void (raw.os = { ...raw.os, users: { usera: { password: true } } });
const withMd5 = (raw: RawConfig) => {
  const users = { usera: { password: true, insecureMd5Password: true } };
  raw.os = { ...raw.os, distribution: "coreos", users };
};
const withoutPassword = (raw: RawConfig) => void (raw.os = { ...raw.os, users: { usera: {} } });

describe("a user's password", () => {
  let recorder: Recorder;
  beforeAll(async () => void (recorder = await machines(withPassword)));

  test("is created by the program, and its hash by openssl, which reads it from standard input", () => {
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

  test("keeps its hash if only the command changes", async () => {
    const hash = recorder.named("fleet-user-usera-hash");
    expect(hash.ignoreChanges).toEqual(["create"]);
    expect(hash.replaceOnChanges).toContain("stdin");
    // The command alone tells the kind of hash, so each kind has a name of its own.
    const old = await machines(withMd5);
    expect(old.children("fleet-user")).toEqual([
      "Command fleet-user-usera-hash-md5",
      "RandomPassword fleet-user-usera",
    ]);
    expect(old.named("fleet-user-usera-hash-md5").inputs.create).toBe("openssl passwd -1 -stdin");
  });

  test("reaches every node as a hash, in user data and afterwards, and stays secret", () => {
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

  test("is no reason to install a node again", async () => {
    const without = await machines(withoutPassword);
    const hashOf = (one: Recorder) => one.named("coreos1-installation").inputs.installHash;
    expect(hashOf(recorder)).toBe(hashOf(without));
    expect(hashOf(recorder)).toMatch(/^[0-9a-f]{64}$/);
    const changed = differences(without, recorder).filter((one) => one.includes("coreos1"));
    expect(changed).toEqual(["~ Installation coreos1-installation", "~ NodeFilesPart coreos1-base"]);
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

  test("is created by the openssl in PATH", () => {
    expect(hashed(false, { bin: openSsl })).toEqual({
      status: 0,
      stdout: "$6$salt$of planted\n",
      stderr: "",
    });
    expect(hashed(false, {}).stdout).toMatch(/^\$6\$[./0-9A-Za-z]+\$[./0-9A-Za-z]{86}\n$/);
  });

  test.each(["opt/homebrew/opt/openssl/bin", "usr/local/opt/openssl/bin", "opt/local/bin"])(
    "is created by the one in /%s if macOS's own is LibreSSL",
    (folder) => {
      const { status, stdout } = hashed(false, { bin: libreSsl, [folder]: openSsl });
      expect({ status, stdout }).toEqual({ status: 0, stdout: "$6$salt$of planted\n" });
    },
  );

  test("fails with the openssl that is needed if there is none", () => {
    const { status, stdout, stderr } = hashed(false, { bin: libreSsl });
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr.trimEnd().split("\n").at(-1)).toBe(
      "No openssl here makes a hash with SHA-512, by passwd -6: that takes OpenSSL 1.1.1 or newer, and the one of " +
        "macOS is LibreSSL. Install it, on macOS by brew install openssl, and run again",
    );
    expect(hashCommand(false) + stderr).not.toContain("planted");
  });

  test("with MD5 is created by either", () => {
    expect(hashed(true, { bin: libreSsl })).toMatchObject({ status: 0, stdout: "$1$salt$of planted\n" });
  });
});

describe("the format of user data", () => {
  test("is no input of the installation if it is Ignition, so that no stack changes for it", async () => {
    const { inputs } = (await machines()).named("coreos1-installation");
    expect(inputs).not.toHaveProperty("format");
    expect(inputs).not.toHaveProperty("tryoutSeconds");
  });

  test("is an input of the installation if it is a cloud-config", async () => {
    const recorder = await machines((raw) => void (raw.os = { ...raw.os, format: "cloud-config" }));
    const { inputs } = recorder.named("coreos2-installation");
    expect(inputs.format).toBe("cloud-config");
    expect(inputs.tryoutSeconds).toBe(60);
    expect(appliedCloudConfig(String(plain(inputs.userData))).hostname).toBe("coreos2");
  });
});

describe("moorage render", () => {
  const everything: Change = (raw) => {
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
  let recorder: Recorder;
  beforeAll(async () => void (recorder = await machines(everything)));

  const printsInstallation = (from: Recorder, change: Change) => {
    for (const node of ["coreos1", "coreos4"]) {
      const { userData } = from.named(`${node}-installation`).inputs;
      expect(renderNode(node, labConfig(change), stateOf(from), options)).toBe(plain(userData));
    }
  };

  test("prints what pulumi up installs", () => printsInstallation(recorder, everything));

  test("prints what pulumi up installs by a cloud-config", async () => {
    const change: Change = (raw) => {
      everything(raw);
      raw.os = { ...raw.os, format: "cloud-config" };
    };
    printsInstallation(await machines(change), change);
  });

  test("prints with --whole what pulumi up puts on the node afterwards, too", () => {
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

  test("prints placeholders for secrets unless it is told to show them", () => {
    const hidden = { whole: true, secrets: false };
    const text = renderNode("coreos1", labConfig(everything), stateOf(recorder), hidden);
    const { files, users } = appliedIgnition(text);
    expect(decodeURIComponent(text.replace(/%(?![0-9A-F]{2})/g, ""))).not.toMatch(/private /);
    expect(users.usera?.passwordHash).toBe("(password hash of usera: shown with --secrets)");
    const content = (path: string) => files[path]?.content;
    expect(content("/etc/ssh/ssh_host_ed25519_key")).toBe("(host key of coreos1: shown with --secrets)\n");
    expect(content("/etc/docker/tls/key.pem")).toBe("(key of Docker's API: shown with --secrets)");
    expect(content("/etc/ssh/ssh_host_ed25519_key.pub")).toBe("ssh-ed25519 coreos1-host-key\n");
    expect(content("/etc/moorage/install.json")).toContain("(digest of the installation: shown with");
  });

  test("works before the first update", () => {
    const text = renderNode("coreos1", labConfig(everything), [], { whole: true, secrets: true });
    expect(appliedIgnition(text).files["/etc/ssh/ssh_host_ed25519_key"]?.content).toBe(
      "(host key of coreos1: made by the first pulumi up)\n",
    );
  });

  test("prints the other format if the distribution reads it, and fails if not", () => {
    const cloudConfig = { ...options, format: "cloud-config" } as const;
    expect(renderNode("coreos1", labConfig(), [], cloudConfig)).toMatch(/^#cloud-config\n/);
    const fedora = labConfig((raw) => void (raw.os = { ...raw.os, distribution: "fedora-coreos" }));
    expect(() => renderNode("coreos1", fedora, [], cloudConfig)).toThrow("Fedora CoreOS has no cloud-config");
  });

  test("fails for a node that does not exist, or that is not installed", () => {
    expect(() => renderNode("coreos9", labConfig(), [], options)).toThrow(
      "coreos9 is no node of this stack; wanted: one of coreos1, coreos2, coreos3, coreos4",
    );
    const existing = parseStackConfig(rawStack("existing"));
    expect(() => renderNode("node1", existing, [], options)).toThrow("node1: a host that ran before");
  });
});
