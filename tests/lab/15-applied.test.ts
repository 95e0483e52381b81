import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Document } from "yaml";
import { installation, type InstallationInputs } from "@moorage/hosts";
import type { UserDataFormat } from "@moorage/render";
import { must, run, type Finished } from "../../lab/exec";
import { consoleRun } from "../../lab/hosts";
import { claimInstance, hostNamed, type Host, type Instance } from "../../lab/instance";
import { onHost } from "../../lab/journey/push";
import { ensureKeys } from "../../lab/keys";
import { off, on, reboot, reinstall, settle } from "../../lab/lab";
import { accessTo, sshArguments, type SshAccess } from "../../lab/ssh";
import { differences } from "../support/appliedHost";
import { networkDifferences } from "../support/appliedNetwork";
import { OwnLab } from "../support/ownLab";
import { notRun } from "../support/summary";
import { eventually, TestLab } from "../support/testLab";
import { cloudinitFor } from "../support/validators";
import { enrich, idle, nic, wholeOf, withVlans, type Whole } from "../support/wholeUserData";

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

  test("has every file, user, group, unit and address of its user data, and of what was put there over SSH before it joined", async () => {
    const { model, wanted } = await wholeOf(lab, node, "ignition");
    expect(Object.keys(wanted.users)).toEqual(["core", user]);
    expect(wanted.files[`/etc/userdb/${user}:video.membership`]).toBeDefined();
    expect(await differences(wanted, asRoot(place()))).toEqual([]);
    expect(await networkDifferences(model, asRoot(place()))).toEqual([]);
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

/** The user data of the enriched stack, or of one that `change` makes. */
const enriched = (format: UserDataFormat, change = enrich(node)): Promise<Whole> =>
  lab.withConfig(change, () => wholeOf(lab, node, format));

describe("a host that was installed by hand", () => {
  let own: OwnLab | undefined;
  let place: Place;
  let has: Whole;

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

  /** A second network card, until the host's next boot. */
  async function plug(): Promise<void> {
    const { netns } = place.host;
    await must("ip", ["-n", netns, "link", "add", nic, "type", "veth", "peer", "name", "plug1"]);
    await must("ip", ["-n", netns, "link", "set", "plug1", "up"]);
  }

  async function expectNetwork({ model }: Whole): Promise<void> {
    await eventually(30, async () => {
      expect(await networkDifferences(model, asRoot(place))).toEqual([]);
    });
  }

  test("with Ignition has every file, user, group, unit and address of all that a stack may have", async () => {
    const { text, wanted, model } = await enriched("ignition");
    await install("-i", text);
    await plug();
    await eventually(60, async () => {
      expect(await differences(wanted, asRoot(place))).toEqual([]);
    });
    await expectNetwork({ text, wanted, model });
    await expectKeysAlone(place);
  });

  /** Whether the kernel makes a VLAN of the host's interface. */
  async function hasVlans(): Promise<boolean> {
    const link = ["-n", place.host.netns, "link"];
    const probe = ["link", "eth0", "name", "probe", "type", "vlan", "id", "9"];
    if ((await run("ip", [...link, "add", ...probe])).code !== 0) return false;
    await must("ip", [...link, "delete", "probe"]);
    return true;
  }

  test.for(["ignition", "cloud-config"] as const)(
    "with %s has its VLANs, by id, parent, address and route",
    async (format, context) => {
      if (!(await hasVlans())) return context.skip(`${notRun}this machine's kernel has no VLANs`);
      if (format === "cloud-config") cloudinitFor(context);
      const made = await enriched(format, withVlans(node));
      await reinstall(place.instance, place.host);
      await install(format === "ignition" ? "-i" : "-c", made.text);
      await plug();
      await expectNetwork(made);
    },
  );

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
    has = await enriched("cloud-config");
    await reinstall(place.instance, place.host);
    await install("-c", has.text);
    await plug();
    await applied();
    // It runs after all that is in user data, and so is not started by it.
    expect(await differences(has.wanted, asRoot(place))).toEqual([
      "unit moorage-passwords.service: enabled inactive, wanted enabled active",
    ]);
    await expectNetwork(has);
    await expectKeysAlone(place);
    // The time zone was set by what would move the machine's clock too, if a host of the lab might.
    const allowed = await asRoot(place)("sed -n 's/^CapBnd:[[:space:]]*/0x/p' /proc/1/status");
    expect((BigInt(allowed.trim()) >> capSysTime) & 1n).toBe(0n);
  });

  test("has all of it once it was booted again, applied anew and come to the same", async (context) => {
    cloudinitFor(context);
    const otherwise = `systemctl disable own.timer 2>/dev/null; systemctl enable --now ${idle} 2>/dev/null`;
    await asRoot(place)(`rm /opt/bin/own; ${otherwise}`);
    await reboot(place.instance, place.host);
    await plug();
    await applied();
    // No key takes a unit's enablement away; but it is stopped at every boot.
    await eventually(30, async () => {
      expect(await differences(has.wanted, asRoot(place))).toEqual([
        `unit ${idle}: enabled inactive, wanted disabled inactive`,
      ]);
    });
    await expectNetwork(has);
    const docker = await login(place, "docker ps --quiet && id -Gn");
    expect(docker.stdout.trim().split(" ").sort(), docker.stderr).toEqual(["docker", "sudo", user, "video"]);
  });

  /** The same without what it has of its owner's, and with another time zone. */
  function strip(config: Document): void {
    enrich(node)(config);
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
    const before = await enriched("cloud-config");
    const after = await enriched("cloud-config", strip);
    await change(before.text, inputsOf(after.text));
    await applied();
    expect(await differences(after.wanted, asRoot(place))).toEqual([]);
    const left =
      "ls /opt/bin/own /etc/systemd/system/own* /etc/systemd/system/docker.service.d/80-own.conf 2>&1; :";
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

  async function expectFormer(former: Whole): Promise<void> {
    await applied();
    expect(await asRoot(place)("ip -br address show eth0")).toContain(`${place.host.address}/`);
    expect(await asRoot(place)("cat /var/lib/flatcar-install/user_data")).toBe(former.text);
    expect(await differences(former.wanted, asRoot(place))).toEqual([]);
    await expectNoTrial();
  }

  test("goes back by itself from one that locks SSH out, and takes the next one", async (context) => {
    cloudinitFor(context);
    const former = await enriched("cloud-config", strip);
    const cut = cutOff(former.text);
    await expect(change(former.text, inputsOf(cut, 15))).rejects.toThrow(
      /^coreos1: went back by itself to its former user data: with the new one, SSH did not return at core@127\.0\.0\.1:\d+ within 15 s of its boot \(.*\)\. Tried: 10-moorage\.network\./,
    );
    await expectFormer(former);

    // The power is lost while one is tried that would be waited for much longer.
    const lost = expect(change(former.text, inputsOf(cut, 3600))).rejects.toThrow(/went back by itself/);
    await eventually(90, async () => {
      expect(await asRoot(place)("ip -br address show eth0; ls /var/lib/moorage/user-data")).toMatch(
        /10\.0\.9\.9\/[^]*applied/,
      );
    });
    await off(place.instance, place.host);
    await on(place.instance, place.host);
    await eventually(120, async () => {
      const seen = await asRoot(place)(
        "ls /var/lib/moorage; systemctl is-system-running; systemctl list-jobs",
      );
      expect(seen).not.toMatch(/^user-data/m);
      expect(seen).toMatch(/^(running|degraded)$/m);
    });
    await lost;
    await expectFormer(former);

    const right = await enriched("cloud-config");
    await change(former.text, inputsOf(right.text));
    await expectNoTrial();
    await eventually(30, async () => {
      expect(await differences(right.wanted, asRoot(place))).toEqual([]);
    });
  });
});
