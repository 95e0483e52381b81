import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Document } from "yaml";
import { installation, type InstallationInputs } from "@moorage/hosts";
import type { UserDataFormat } from "@moorage/render";
import { must, run, type Finished } from "../../lab/exec";
import { consoleRun } from "../../lab/hosts";
import { checkout, claimInstance, hostNamed, type Host, type Instance } from "../../lab/instance";
import { onHost } from "../../lab/journey/push";
import { ensureKeys } from "../../lab/keys";
import { off, on, reboot, reinstall, settle } from "../../lab/lab";
import { accessTo, sshArguments, type SshAccess } from "../../lab/ssh";
import { differences } from "../support/appliedHost";
import { OwnLab } from "../support/ownLab";
import { eventually, TestLab } from "../support/testLab";
import { appliedCloudConfig, appliedIgnition, type Applied } from "../support/userData";
import { cloudinitFor } from "../support/validators";

const node = "coreos1";
const user = "usera";
/** CAP_SYS_TIME, as Linux counts. */
const capSysTime = 25n;
const keysAlone = "/etc/ssh/sshd_config.d/10-moorage.conf";

let lab: TestLab;
let access: SshAccess;
let password: string;

beforeAll(async () => {
  lab = await TestLab.standing();
  const known = accessTo(lab.instance, lab.host(node));
  if (known === undefined) throw new Error(`the lab has no key for ${node}`);
  access = { ...known, user };
  const { consolePasswords } = await lab.outputs();
  password = (consolePasswords as Record<string, string>)[user] ?? "";
  expect(password).toMatch(/^\w{24}$/);
});

/** What the operator's command prints of the node, secrets and what is put there over SSH included. */
function rendered(...options: string[]): Promise<string> {
  const command = ["--no-install", "tsx", "ops/main.ts", "render", node, "--secrets", ...options];
  return must("npx", command, { env: lab.env, cwd: checkout() });
}

/** A host, and the lab that it is in. */
interface Place {
  readonly instance: Instance;
  readonly host: Host;
}

const asRoot =
  ({ host }: Place) =>
  async (line: string): Promise<string> => {
    const done = await consoleRun(host, ["sh", "-c", line]);
    if (done.code !== 0) throw new Error(`${host.name}: exit code ${done.code}: ${done.stderr}`);
    return done.stdout;
  };

/** Logs in as the user, by key unless `options` say otherwise, and runs a shell line. */
function login({ instance, host }: Place, line: string, options: LoginOptions = {}): Promise<Finished> {
  const flags = (options.flags ?? []).flatMap((flag) => ["-o", flag]);
  return run("ssh", [...flags, ...sshArguments(instance, host, access, [line])], {
    input: options.input ?? "",
    env: options.env,
    timeoutMs: 30_000,
  });
}

interface LoginOptions {
  readonly flags?: readonly string[];
  readonly input?: string;
  readonly env?: Record<string, string>;
}

/** The same with the password in place of the key, in whichever way the host asks for it. */
async function loginByPassword(place: Place): Promise<Finished> {
  const askpass = path.join(place.instance.dir, `askpass.${randomBytes(3).toString("hex")}`);
  fs.writeFileSync(askpass, `#!/bin/sh\nprintf '%s\\n' "$USERS_PASSWORD"\n`, { mode: 0o700 });
  try {
    return await login(place, "id -un", {
      flags: [
        "PubkeyAuthentication=no",
        "PreferredAuthentications=password,keyboard-interactive",
        "NumberOfPasswordPrompts=1",
      ],
      env: { SSH_ASKPASS: askpass, SSH_ASKPASS_REQUIRE: "force", USERS_PASSWORD: password },
    });
  } finally {
    fs.rmSync(askpass);
  }
}

async function expectKeysAlone(place: Place): Promise<void> {
  const { code, stderr } = await loginByPassword(place);
  expect(stderr).toContain("Permission denied (publickey).");
  expect(code).toBe(255);
}

describe("a node that Ignition installed", () => {
  const place = (): Place => ({ instance: lab.instance, host: lab.host(node) });

  afterEach(() => lab.root(node, `[ ! -e /root/aside ] || mv /root/aside ${keysAlone}`));

  test("has every file, user, group and unit of its user data, and of what was put there over SSH", async () => {
    const wanted = appliedIgnition(await rendered("--whole"));
    expect(Object.keys(wanted.users)).toEqual(["core", user]);
    expect(wanted.files[`/etc/userdb/${user}:video.membership`]).toBeDefined();
    expect(await differences(wanted, asRoot(place()))).toEqual([]);
  });

  test("lets a user in by her key, and to Docker; makes her root by her password alone", async () => {
    const docker = await login(place(), "docker ps --format '{{.Names}}'");
    expect(docker.code, docker.stderr).toBe(0);
    expect(docker.stdout).toContain("registry");
    expect((await login(place(), "sudo -n id -u")).code).not.toBe(0);
    expect((await login(place(), "sudo -S -k -p '' id -u", { input: "wrong\n" })).code).not.toBe(0);
    const root = await login(place(), "sudo -S -k -p '' id -u", { input: `${password}\n` });
    expect(root.stdout.trim(), root.stderr).toBe("0");
  });

  test("takes no password by SSH, which it would without the file that forbids it", async () => {
    await expectKeysAlone(place());
    await lab.mustRoot(node, `mv ${keysAlone} /root/aside`);
    await eventually(10, async () => {
      const { code, stdout, stderr } = await loginByPassword(place());
      expect(code, stderr).toBe(0);
      expect(stdout.trim()).toBe(user);
    });
    await lab.mustRoot(node, `mv /root/aside ${keysAlone}`);
    await eventually(10, () => expectKeysAlone(place()));
  });
});

/** What a stack may have besides; only rendered, as no `pulumi up` follows. */
function enrich(config: Document): void {
  const os = {
    timeZone: "Europe/Berlin",
    ntp: ["time.example.com"],
    clockTimer: true,
    aliases: true,
    motd: "Just another day!!",
    proxies: { http: "http://10.0.2.1:3128" },
    files: {
      "/opt/bin/own": { content: "#!/bin/sh\nexit 0\n", permissions: "0750", owner: "root:docker" },
    },
    units: {
      "own.service": { content: "[Service]\nType=oneshot\nExecStart=/opt/bin/own\n" },
      "own.timer": {
        content: "[Timer]\nOnCalendar=weekly\n\n[Install]\nWantedBy=timers.target\n",
        enabled: true,
      },
      "docker.service": { dropIns: { "80-own.conf": "[Service]\nNice=-5\n" } },
    },
  };
  for (const [key, value] of Object.entries(os)) config.setIn(["config", "moorage:os", key], value);
}

/** The user data of the enriched stack, or of one that `change` makes. */
const whole = (format: UserDataFormat, change = enrich): Promise<string> =>
  lab.withConfig(change, () => rendered("--whole", "--format", format));

describe("a host that was installed by hand", () => {
  let own: OwnLab | undefined;
  let place: Place;
  let wanted: Applied;

  beforeAll(async () => {
    own = await OwnLab.begin();
    const instance = await claimInstance();
    settle(instance, "metal");
    await ensureKeys(instance);
    place = { instance, host: hostNamed(instance, node) };
    await on(instance, place.host);
  });

  afterAll(() => own?.end());

  async function install(option: "-i" | "-c", userData: string): Promise<void> {
    const { instance, host } = place;
    const line = `umask 077; cat > user_data && sudo flatcar-install -d /dev/disk/by-id/lab-${node}-system ${option} user_data`;
    await onHost(instance, host, line, userData);
    await reboot(instance, host);
  }

  test("with Ignition has every file, user, group and unit of all that a stack may have", async () => {
    const text = await whole("ignition");
    await install("-i", text);
    await eventually(60, async () => {
      expect(await differences(appliedIgnition(text), asRoot(place))).toEqual([]);
    });
    await expectKeysAlone(place);
  });

  /** Waits for the end of what applies it on this boot. */
  async function applied(): Promise<void> {
    const unit = "user-cloudinit@var-lib-flatcar\\x2dinstall-user_data.service";
    const state = `systemctl show -p ActiveState --value '${unit}'`;
    await eventually(60, async () => {
      expect(["active", "failed"]).toContain((await asRoot(place)(state)).trim());
    });
    const log = await asRoot(place)(`journalctl -b -o cat -u '${unit}'`);
    expect((await asRoot(place)(state)).trim(), log).toBe("active");
  }

  test("with a cloud-config has all of that, too, but what waits for the next boot", async (context) => {
    cloudinitFor(context);
    const text = await whole("cloud-config");
    wanted = appliedCloudConfig(text);
    await reinstall(place.instance, place.host);
    await install("-c", text);
    await applied();
    // It runs after all that is in user data, and so is not started by it.
    expect(await differences(wanted, asRoot(place))).toEqual([
      "unit moorage-passwords.service: enabled inactive, wanted enabled active",
    ]);
    await expectKeysAlone(place);
    // The time zone was set by what would move the machine's clock too, if a host of the lab might.
    const allowed = await asRoot(place)("sed -n 's/^CapBnd:[[:space:]]*/0x/p' /proc/1/status");
    expect((BigInt(allowed.trim()) >> capSysTime) & 1n).toBe(0n);
  });

  test("has all of it once it was booted again, applied anew and come to the same", async (context) => {
    cloudinitFor(context);
    await asRoot(place)("rm /opt/bin/own && systemctl disable own.timer 2>/dev/null");
    await reboot(place.instance, place.host);
    await applied();
    await eventually(30, async () => expect(await differences(wanted, asRoot(place))).toEqual([]));
    const docker = await login(place, "docker ps --quiet && id -Gn");
    expect(docker.stdout.trim().split(" ").sort(), docker.stderr).toEqual(["docker", "sudo", user, "video"]);
  });

  /** The same without what it has of its owner's, and with another time zone. */
  function strip(config: Document): void {
    enrich(config);
    config.setIn(["config", "moorage:os", "timeZone"], "Europe/Paris");
    for (const key of ["files", "units"]) config.deleteIn(["config", "moorage:os", key]);
  }

  const hashIn = (userData: string) => /"installHash\\?":\\?"([0-9a-f]{64})/.exec(userData)?.[1] ?? "";

  function inputsOf(userData: string, tryoutSeconds = 60): InstallationInputs {
    const connection = { ...access, node, host: "127.0.0.1", port: place.host.sshPort, user: "core" };
    return {
      node,
      installer: connection,
      target: connection,
      userData,
      format: "cloud-config",
      installHash: hashIn(userData),
      disk: `/dev/disk/by-id/lab-${node}-system`,
      timeoutSeconds: 120,
      tryoutSeconds,
    };
  }

  const change = (from: string, to: InstallationInputs) =>
    installation.update(node, { ...inputsOf(from), firstBootId: "first" }, to);

  test("takes another one by a reboot, and loses what that leaves out", async (context) => {
    cloudinitFor(context);
    const before = await whole("cloud-config");
    const after = await whole("cloud-config", strip);
    await change(before, inputsOf(after));
    await applied();
    expect(await differences(appliedCloudConfig(after), asRoot(place))).toEqual([]);
    const left =
      "ls /opt/bin/own /etc/systemd/system/own.* /etc/systemd/system/docker.service.d/80-own.conf 2>&1; :";
    expect((await asRoot(place)(left)).match(/No such file/g)).toHaveLength(3);
    await expectNoTrial();
  });

  async function expectNoTrial(): Promise<void> {
    const left = "ls -d /var/lib/moorage/user-data* /etc/systemd/system/moorage-user-data*";
    const links = "/etc/systemd/system/multi-user.target.wants/moorage-user-data*";
    expect(await asRoot(place)(`${left} ${links} 2>/dev/null; :`)).toBe("");
  }

  /** With another address, at which no SSH arrives, and another hash. */
  function cutOff(userData: string): string {
    const moved = userData.replace(`Address=${place.host.address}/`, "Address=10.0.9.9/");
    expect(moved).not.toBe(userData);
    return moved.replaceAll(hashIn(userData), "f".repeat(64));
  }

  async function expectFormer(former: string): Promise<void> {
    await applied();
    expect(await asRoot(place)("ip -br address show eth0")).toContain(`${place.host.address}/`);
    expect(await asRoot(place)("cat /var/lib/flatcar-install/user_data")).toBe(former);
    expect(await differences(appliedCloudConfig(former), asRoot(place))).toEqual([]);
    await expectNoTrial();
  }

  test("goes back by itself from one that locks SSH out, and takes the next one", async (context) => {
    cloudinitFor(context);
    const former = await whole("cloud-config", strip);
    const cut = cutOff(former);
    await expect(change(former, inputsOf(cut, 15))).rejects.toThrow(
      /^coreos1: went back by itself to its former user data: with the new one, SSH did not return at core@127\.0\.0\.1:\d+ within 15 s of its boot \(.*\)\. Tried: 10-moorage\.network\./,
    );
    await expectFormer(former);

    // The power is lost while one is tried that would be waited for much longer.
    const lost = expect(change(former, inputsOf(cut, 3600))).rejects.toThrow(/went back by itself/);
    await eventually(90, async () => {
      expect(await asRoot(place)("ip -br address show eth0; ls /var/lib/moorage/user-data")).toMatch(
        /10\.0\.9\.9\/[^]*applied/,
      );
    });
    await off(place.instance, place.host);
    await on(place.instance, place.host);
    await lost;
    await expectFormer(former);

    const right = await whole("cloud-config");
    await change(former, inputsOf(right));
    await expectNoTrial();
    await eventually(30, async () => {
      expect(await differences(appliedCloudConfig(right), asRoot(place))).toEqual([]);
    });
  });
});
