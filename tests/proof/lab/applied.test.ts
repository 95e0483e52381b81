/** User data as hosts have applied it: on a node of the lab, and on a host installed by hand with all that a stack may have. */
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Document } from "yaml";
import { installation, type InstallationInputs } from "@moorage/hosts";
import type { UserDataFormat } from "@moorage/render";
import { must, run, type Finished } from "../../../lab/exec";
import { consoleRun } from "../../../lab/hosts";
import { claimInstance, hostNamed, type Host, type Instance } from "../../../lab/instance";
import { onHost } from "../../../lab/journey/push";
import { ensureKeys } from "../../../lab/keys";
import { on, reboot, reinstall, settle } from "../../../lab/lab";
import { accessTo, sshArguments, type SshAccess } from "../../../lab/ssh";
import { differences } from "../../support/appliedHost";
import { networkDifferences } from "../../support/appliedNetwork";
import { OwnLab } from "../../support/ownLab";
import { notRun } from "../../support/summary";
import { TestLab } from "../../support/testLab";
import { cloudinitFor } from "../../support/validators";
import { until } from "../../support/waiting";
import { enrich, idle, nic, wholeOf, withVlans, type Whole } from "../../support/wholeUserData";

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

/** A host and its lab. */
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

/** Logs in by password, in every way that the host offers. */
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

  test("has every file, user, group, unit and address of its user data and of its files set over SSH", async () => {
    const { model, wanted } = await wholeOf(lab, node, "ignition");
    expect(Object.keys(wanted.users)).toEqual(["core", user]);
    expect(wanted.files[`/etc/userdb/${user}:video.membership`]).toBeDefined();
    expect(await differences(wanted, asRoot(place()))).toEqual([]);
    expect(await networkDifferences(model, asRoot(place()))).toEqual([]);
  });

  test("gives a user SSH by key, Docker, and root by password only", async () => {
    const docker = await login(place(), "docker ps --format '{{.Names}}'");
    expect(docker.code, docker.stderr).toBe(0);
    expect(docker.stdout).toContain("registry");
    expect((await login(place(), "sudo -n id -u")).code).not.toBe(0);
    expect((await login(place(), "sudo -S -k -p '' id -u", { input: "wrong\n" })).code).not.toBe(0);
    const root = await login(place(), "sudo -S -k -p '' id -u", { input: `${password}\n` });
    expect(root.stdout.trim(), root.stderr).toBe("0");
  });

  test("refuses passwords over SSH, and accepts them without the file that forbids them", async () => {
    await expectKeysAlone(place());
    await lab.mustRoot(node, `mv ${keysAlone} /root/aside`);
    await until("sshd accepts the password", async () => {
      const { code, stdout, stderr } = await loginByPassword(place());
      expect(code, stderr).toBe(0);
      expect(stdout.trim()).toBe(user);
    });
    await lab.mustRoot(node, `mv /root/aside ${keysAlone}`);
    await until("sshd refuses the password", () => expectKeysAlone(place()));
  });
});

/** The user data of the stack with a change of its configuration. */
const enriched = (format: UserDataFormat, change = enrich(node)): Promise<Whole> =>
  lab.withConfig(change, () => wholeOf(lab, node, format));

describe("a host installed by hand", () => {
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

  /** Adds a second network card until the next boot. */
  async function plug(): Promise<void> {
    const { netns } = place.host;
    await must("ip", ["-n", netns, "link", "add", nic, "type", "veth", "peer", "name", "plug1"]);
    await must("ip", ["-n", netns, "link", "set", "plug1", "up"]);
  }

  const hasNetwork = ({ model }: Whole): Promise<void> =>
    until(
      "the network is as in the user data",
      async () => expect(await networkDifferences(model, asRoot(place))).toEqual([]),
      { netSeconds: 180 },
    );

  const differsBy = ({ wanted }: Whole, expected: readonly string[]): Promise<void> =>
    until(
      "the host is as in the user data",
      async () => expect(await differences(wanted, asRoot(place))).toEqual(expected),
      { netSeconds: 300 },
    );

  test("with Ignition has every file, user, group, unit and address", async () => {
    const whole = await enriched("ignition");
    await install("-i", whole.text);
    await plug();
    await differsBy(whole, []);
    await hasNetwork(whole);
    await expectKeysAlone(place);
  });

  /** Whether the kernel supports VLANs. */
  async function hasVlans(): Promise<boolean> {
    const link = ["-n", place.host.netns, "link"];
    const probe = ["link", "eth0", "name", "probe", "type", "vlan", "id", "9"];
    if ((await run("ip", [...link, "add", ...probe])).code !== 0) return false;
    await must("ip", [...link, "delete", "probe"]);
    return true;
  }

  test.for(["ignition", "cloud-config"] as const)(
    "with %s has its VLANs with id, parent, address and route",
    async (format, context) => {
      if (!(await hasVlans())) return context.skip(`${notRun}this machine's kernel has no VLANs`);
      if (format === "cloud-config") cloudinitFor(context);
      const made = await enriched(format, withVlans(node));
      await reinstall(place.instance, place.host);
      await install(format === "ignition" ? "-i" : "-c", made.text);
      await plug();
      await hasNetwork(made);
    },
  );

  /** Waits until the cloud-config is applied on this boot. */
  async function applied(): Promise<void> {
    const unit = "user-cloudinit@var-lib-flatcar\\x2dinstall-user_data.service";
    const state = `systemctl show -p ActiveState --value '${unit}'`;
    const isOver = async (): Promise<void> =>
      expect(["active", "failed"]).toContain((await asRoot(place)(state)).trim());
    await until("the cloud-config is applied", isOver, { netSeconds: 300 });
    const log = await asRoot(place)(`journalctl -b -o cat -u '${unit}'`);
    expect((await asRoot(place)(state)).trim(), log).toBe("active");
  }

  test("with a cloud-config has all of that but one unit, which starts at the next boot", async (context) => {
    cloudinitFor(context);
    has = await enriched("cloud-config");
    await reinstall(place.instance, place.host);
    await install("-c", has.text);
    await plug();
    await applied();
    // It runs after everything in the user data, which therefore cannot start it.
    expect(await differences(has.wanted, asRoot(place))).toEqual([
      "unit moorage-passwords.service: enabled inactive, wanted enabled active",
    ]);
    await hasNetwork(has);
    await expectKeysAlone(place);
    // A host of the lab cannot set the machine's clock.
    const allowed = await asRoot(place)("sed -n 's/^CapBnd:[[:space:]]*/0x/p' /proc/1/status");
    expect((BigInt(allowed.trim()) >> capSysTime) & 1n).toBe(0n);
  });

  test("has all of it after a boot, which applies the cloud-config again", async (context) => {
    cloudinitFor(context);
    const otherwise = `systemctl disable own.timer 2>/dev/null; systemctl enable --now ${idle} 2>/dev/null`;
    await asRoot(place)(`rm /opt/bin/own; ${otherwise}`);
    await reboot(place.instance, place.host);
    await plug();
    await applied();
    // A cloud-config cannot disable a unit; it stops it at every boot.
    await differsBy(has, [`unit ${idle}: enabled inactive, wanted disabled inactive`]);
    await hasNetwork(has);
    const docker = await login(place, "docker ps --quiet && id -Gn");
    expect(docker.stdout.trim().split(" ").sort(), docker.stderr).toEqual(["docker", "sudo", user, "video"]);
  });

  /** The enriched stack without its own files and units, in another time zone. */
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

  test("applies another cloud-config by a reboot and removes what that leaves out", async (context) => {
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

  // Power losses meanwhile: tests/unit/hosts/user-data-trial.test.ts.
  test("rolls back a cloud-config that cuts SSH off, and applies the next one", async (context) => {
    cloudinitFor(context);
    const former = await enriched("cloud-config", strip);
    const moved = former.text.replace(`Address=${place.host.address}/`, "Address=10.0.9.9/");
    expect(moved).not.toBe(former.text);
    const cut = moved.replaceAll(hashIn(moved), "f".repeat(64));
    await expect(change(former.text, inputsOf(cut, 15))).rejects.toThrow(
      /^coreos1: went back by itself to its former user data: with the new one, SSH did not return at core@127\.0\.0\.1:\d+ within 15 s of its boot \(.*\)\. Tried: 10-moorage\.network\./,
    );
    await applied();
    expect(await asRoot(place)("ip -br address show eth0")).toContain(`${place.host.address}/`);
    expect(await asRoot(place)("cat /var/lib/flatcar-install/user_data")).toBe(former.text);
    expect(await differences(former.wanted, asRoot(place))).toEqual([]);
    await expectNoTrial();

    const right = await enriched("cloud-config");
    await change(former.text, inputsOf(right.text));
    await expectNoTrial();
    await differsBy(right, []);
  });
});
