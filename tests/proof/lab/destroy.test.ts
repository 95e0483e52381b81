/**
 * A stack is destroyed from a fresh clone, and the next update brings everything back: from an image file, with cloud-configs,
 * without a name server.
 */
import { createHash, randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { must, run } from "../../../lab/exec";
import { hostState } from "../../../lab/hosts";
import type { Host } from "../../../lab/instance";
import { introduce, pushAndPull } from "../../../lab/journey/push";
import { backendFolder, passphrase } from "../../../lab/journey/stack";
import { installerKey } from "../../../lab/keys";
import { hypervisorFolder } from "../../../lab/virtualbox/hypervisor";
import { freshClone } from "../../support/clone";
import { manage } from "../../support/hypervisor";
import { whileReading } from "../../support/reading";
import { expectOneAfterTheOther } from "../../support/row";
import { commandLinesDuring, expectKept } from "../../support/secrets";
import { expectUnchanged } from "../../support/service";
import { helloArchive, TestLab, type Ran } from "../../support/testLab";
import { cloudinitFor, hasCloudinit } from "../../support/validators";
import { timed, until } from "../../support/waiting";

let lab: TestLab;
let clone: string;
/** Folder with a copy of the key. */
let given: string;
let digest: string;
let update: { output: string; commandLines: string[] };
/** Nodes are installed from this file, as at a site without internet. */
let image: { path: string; sha512: string };
/** The stack's configuration before. */
let before: string;

/** Hides the lab's folder except for the backend and the key. */
const elsewhere = `
mkdir -p "$4/backend"
mount --bind "$2" "$4/backend"
mount -t tmpfs tmpfs "$1"
mkdir -p "$2"
mount --bind "$4/backend" "$2"
cp -p "$4/key" "$3"
test "$(ls "$1" | sort | tr '\\n' ' ')" = "backend installer_key "
shift 4
exec pulumi "$@"`;

/** Runs Pulumi in a fresh clone with the backend, the passphrase and the key to the hypervisor only. */
async function pulumiElsewhere(...args: string[]): Promise<Ran> {
  const { dir } = lab.instance;
  const places = [dir, backendFolder(lab.instance), installerKey(lab.instance), given];
  const plain = ["--yes", "--stack", "dev", "--suppress-outputs", "--non-interactive", "--color", "never"];
  const env = {
    ...lab.env,
    PULUMI_OPTION_CONFIG_FILE: "",
    PULUMI_CONFIG_PASSPHRASE_FILE: "",
    PULUMI_CONFIG_PASSPHRASE: passphrase(lab.instance),
  };
  const done = await run("unshare", ["--mount", "sh", "-ec", elsewhere, "sh", ...places, ...args, ...plain], {
    env,
    cwd: clone,
    timeoutMs: 400_000,
  });
  return { code: done.code, output: done.stdout + done.stderr };
}

/** Never answers. */
const resolver = "192.0.2.53";

/** Gives a node that name server as soon as it is installed. */
const losesItsResolver = (host: Host): Promise<void> =>
  until(
    `${host.name} has no name server`,
    async () => {
      expect(hostState(host)).toBe("installed");
      await lab.mustRoot(host.name, `echo nameserver ${resolver} > /etc/resolv.conf`);
      // Without a network, the request is refused at once.
      const asked = await lab.root(host.name, "timeout 3 getent ahosts registry.example.com");
      expect(asked.code, "the resolver answered or refused").toBe(124);
    },
    { netSeconds: 400 },
  );

/** The lab's installer reads any file to its end, and installs the lab's own system. */
function imageFile(path: string): typeof image {
  const content = randomBytes(8 * 1024 * 1024);
  fs.writeFileSync(path, content);
  return { path, sha512: createHash("sha512").update(content).digest("hex") };
}

/** Restarts services one after the other. Each look-up of a name that times out would take 20 s for each task. */
async function restart(services: readonly string[]): Promise<void> {
  for (const service of services) {
    const update = `docker service update --quiet --force --no-resolve-image ${service} >/dev/null`;
    await timed(`restart of ${service} without a name server`, () => lab.mustRoot("coreos1", update));
  }
}

beforeAll(async () => {
  lab = await TestLab.standing();
  before = lab.stackFile();
  const access = await lab.access();
  digest = await pushAndPull(lab.instance, access, helloArchive(lab));
  clone = await freshClone();
  image = imageFile(`${clone}-image.bin`);
  given = fs.mkdtempSync(`${clone}-given-`);
  fs.copyFileSync(installerKey(lab.instance), path.join(given, "key"));
  fs.readdirSync(clone)
    .filter((name) => /^Pulumi\..+\.yaml$/.test(name))
    .forEach((name) => fs.rmSync(`${clone}/${name}`));
});

// The next file begins with the lab's own configuration, and with Ignition.
afterAll(async () => {
  lab.changeConfig(before);
  const { code, output } = await lab.pulumi(["destroy", "--yes", "--skip-preview"]);
  for (const left of [clone, `${clone}-image.bin`, given]) fs.rmSync(left, { recursive: true, force: true });
  await run("ip", ["-n", lab.instance.netns, "route", "del", "blackhole", resolver]);
  expect(code, output).toBe(0);
});

test("a refresh works in a fresh clone with the backend, the passphrase and the key to the hypervisor", async () => {
  const state = await lab.state();
  const files = [...state.matchAll(/"identityFile": *"([^"]*)"/g)].map(([, file]) => file);
  expect([...new Set(files)]).toEqual([installerKey(lab.instance)]);
  // The clone has no configuration, of which Pulumi warns.
  expectUnchanged(await pulumiElsewhere("refresh", "--skip-preview"), { mayWarn: true });
});

test("so does `destroy`, which removes guests and network, and keeps data disks", async () => {
  const { code, output } = await pulumiElsewhere("destroy");
  expect(code, output).toBe(0);
  expect(await manage(lab.instance, "list", "vms")).toBe("");
  expect(await manage(lab.instance, "natnetwork", "list")).toContain("0 networks found");
  const folder = path.join(hypervisorFolder(lab.instance), "vms", "moorage", "data");
  expect(fs.readdirSync(folder).sort()).toEqual(lab.nodes.map(({ name }) => `${name}-data.vdi`));
});

test("an update touches nothing if the image file has another checksum", async () => {
  const other = { path: image.path, sha512: "0".repeat(128) };
  const { code, output } = await lab.withConfig(
    (config) => config.setIn(["config", "moorage:os", "image"], other),
    () => lab.up(),
  );
  expect(code).not.toBe(0);
  expect(output).toMatch(/nothing was touched:\n[^]*os\.image: the image \S+ has another checksum: sha512/);
  lab.changeConfig((config) => {
    config.setIn(["config", "moorage:os", "image"], image);
    if (hasCloudinit()) config.setIn(["config", "moorage:os", "format"], "cloud-config");
  });
});

test("without a name server, an update brings everything back, and what was pushed before is pulled", async () => {
  await must("ip", ["-n", lab.instance.netns, "route", "add", "blackhole", resolver]);
  const updating = commandLinesDuring(() => lab.mustUp());
  await Promise.all([updating, ...lab.nodes.map(losesItsResolver)]).finally(() => updating);
  const [output, commandLines] = await updating;
  update = { output, commandLines };
  const access = await lab.recordAccess();
  for (const client of ["client1", "client2"]) await introduce(lab.instance, client, access);
  const pushed = `${access.host}/demo/hello@${digest}`;
  await lab.client("client2", `docker image rm --force ${pushed}`);
  expect(await lab.client("client2", `docker pull --quiet ${pushed}`)).toContain(digest);
});

test("that update sent the image file to every node, checked it and installed from it", () => {
  for (const { name } of lab.nodes) {
    expect(update.output).toContain(`${name}: sending the image ${image.path} (8 MiB)`);
    expect(update.output).toContain(
      `${name}: Image file /var/tmp/moorage/image.bin has sha512 ${image.sha512}`,
    );
    expect(update.output).toContain(
      `${name}: Success! Flatcar Container Linux (from /var/tmp/moorage/image.bin)`,
    );
  }
});

test("that update showed no secret in its output, a process list or a log", async () => {
  await expectKept(lab, update.commandLines, { output: update.output });
});

test("without a name server, every service restarts", async () => {
  const services = (await lab.mustRoot("coreos1", "docker service ls --format '{{.Name}}'"))
    .trim()
    .split("\n");
  const kindOf = (name: string) => name.replace(/-coreos\d$/, "");
  const kinds = [...new Set(services.map(kindOf))].sort();
  expect(kinds).toEqual(["haproxy", "minio", "nginx", "registry"]);
  // One member of MinIO at a time, so that the others serve; the other kinds at the same time.
  await Promise.all(kinds.map((kind) => restart(services.filter((name) => kindOf(name) === kind))));
  for (const { name } of lab.nodes) {
    expect(await lab.mustRoot(name, "grep ^nameserver /etc/resolv.conf"), name).toBe(
      `nameserver ${resolver}\n`,
    );
  }
  expect(await lab.plan()).toEqual([]);
});

test("another cloud-config is applied by a reboot of one drained node after the other, and no read fails", async (context) => {
  cloudinitFor(context);
  for (const { name } of lab.nodes)
    expect(await lab.mustRoot(name, "head -n 1 /var/lib/flatcar-install/user_data")).toBe("#cloud-config\n");
  await pushAndPull(lab.instance, await lab.access(), helloArchive(lab));
  lab.changeConfig((config) => config.setIn(["config", "moorage:os", "timeZone"], "Europe/Paris"));
  const preview = await lab.pulumi(["preview"]);
  for (const { name } of lab.nodes) {
    expect(preview.output).toContain(`${name}: this update writes its user data anew and reboots the node`);
  }
  // A manager and the worker stand for all nodes.
  const names = lab.nodes.map(({ name }) => name);
  const [chosen, others] = [names.slice(2), names.slice(0, 2)];
  const boots = (of: readonly string[]) =>
    Promise.all(of.map((name) => lab.mustRoot(name, "cat /proc/sys/kernel/random/boot_id")));
  const [chosenBoots, otherBoots] = [await boots(chosen), await boots(others)];
  const targets = chosen.flatMap((name) => ["--target", `**::${name}-installation`]);
  const read = await whileReading(lab, await lab.access(), () => lab.mustUp(...targets));
  expect(read.asked).toBeGreaterThan(20);
  expect(read.failed).toEqual([]);
  await expectOneAfterTheOther(lab, chosen, read.result);
  expect((await boots(chosen)).filter((boot) => chosenBoots.includes(boot))).toEqual([]);
  expect(await boots(others)).toEqual(otherBoots);
  for (const name of chosen) {
    expect(await lab.mustRoot(name, "readlink /etc/localtime")).toMatch(/\/Europe\/Paris$/m);
  }
  const planned = (await lab.plan()).map(({ op, name }) => `${op} ${name}`);
  expect(planned.filter((step) => chosen.some((name) => step.includes(name)))).toEqual([]);
  for (const name of others) expect(planned).toContain(`update ${name}-installation`);
  await pushAndPull(lab.instance, await lab.access(), helloArchive(lab));
});
