import { createHash, randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { must, run } from "../../lab/exec";
import { hostState } from "../../lab/hosts";
import type { Host } from "../../lab/instance";
import { introduce, pushAndPull } from "../../lab/journey/push";
import { backendFolder, passphrase } from "../../lab/journey/stack";
import { installerKey } from "../../lab/keys";
import { hypervisorFolder } from "../../lab/virtualbox/hypervisor";
import { freshClone } from "../support/clone";
import { manage } from "../support/hypervisor";
import { commandLinesDuring, expectKept } from "../support/secrets";
import { expectUnchanged } from "../support/service";
import { eventually, helloArchive, TestLab, type Ran } from "../support/testLab";
import { hasCloudinit } from "../support/validators";

let lab: TestLab;
let clone: string;
/** Where the key lies meanwhile. */
let given: string;
let digest: string;
let update: { output: string; commandLines: string[] };
/** What nodes are installed from from here on, as a site without internet has it. */
let image: { path: string; sha512: string };

/** Hides the lab's folder, but for the backend and the key. */
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

/**
 * Runs Pulumi where there is a fresh clone, and of the lab what it takes: the backend, the passphrase, and the key of one's
 * own that leads to the hypervisor, at the path by which the configuration names it.
 */
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

/** An address that swallows what is sent to it. */
const resolver = "192.0.2.53";

/** Once installed, and before anything of ours runs, the node gets a name server that never answers. */
async function losesItsResolver(host: Host): Promise<void> {
  await eventually(120, async () => {
    expect(hostState(host)).toBe("installed");
    await lab.mustRoot(host.name, `echo nameserver ${resolver} > /etc/resolv.conf`);
    // Before its network is up a node is refused at once.
    const asked = await lab.root(host.name, "timeout 3 getent ahosts registry.example.com");
    expect(asked.code, "the resolver answered or refused").toBe(124);
  });
}

/** Any file does: the lab's installer reads it to its end, and installs the lab's own system. */
function imageFile(path: string): typeof image {
  const content = randomBytes(8 * 1024 * 1024);
  fs.writeFileSync(path, content);
  return { path, sha512: createHash("sha512").update(content).digest("hex") };
}

/** Has services restarted one after the other, in seconds: a look-up that has to time out costs 20 s for each task. */
async function restarted(services: readonly string[]): Promise<void> {
  for (const service of services) {
    const start = Date.now();
    const update = `docker service update --quiet --force --no-resolve-image ${service} >/dev/null`;
    await lab.mustRoot("coreos1", update);
    expect((Date.now() - start) / 1000 / (service === "nginx" ? 4 : 1), service).toBeLessThan(20);
  }
}

beforeAll(async () => {
  lab = await TestLab.standing();
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

afterAll(async () => {
  fs.rmSync(clone, { recursive: true, force: true });
  fs.rmSync(`${clone}-image.bin`, { force: true });
  fs.rmSync(given, { recursive: true, force: true });
  await run("ip", ["-n", lab.instance.netns, "route", "del", "blackhole", resolver]);
});

test("a refresh works in a fresh clone that has the backend, the passphrase and the key to the hypervisor alone", async () => {
  const state = await lab.state();
  const files = [...state.matchAll(/"identityFile": *"([^"]*)"/g)].map(([, file]) => file);
  expect([...new Set(files)], "keys of one's own").toEqual([installerKey(lab.instance)]);
  const refreshed = await pulumiElsewhere("refresh", "--skip-preview");
  // Of a configuration that is not there.
  expectUnchanged(refreshed, { mayWarn: true });
});

test("so does a destroy, after which guests and network are gone, and data disks are kept", async () => {
  const { code, output } = await pulumiElsewhere("destroy");
  expect(code, output).toBe(0);
  expect(await manage(lab.instance, "list", "vms")).toBe("");
  expect(await manage(lab.instance, "natnetwork", "list")).toContain("0 networks found");
  const folder = path.join(hypervisorFolder(lab.instance), "vms", "moorage", "data");
  expect(fs.readdirSync(folder).sort()).toEqual(lab.nodes.map(({ name }) => `${name}-data.vdi`));
});

test("with an image in the configuration that is another file, nothing is touched either", async () => {
  const other = { path: image.path, sha512: "0".repeat(128) };
  const { code, output } = await lab.withConfig(
    (config) => config.setIn(["config", "moorage:os", "image"], other),
    () => lab.up(),
  );
  expect(code).not.toBe(0);
  expect(output).toMatch(/nothing was touched:\n[^]*os\.image: the image \S+ has another checksum: sha512/);
  lab.changeConfig((config) => {
    config.setIn(["config", "moorage:os", "image"], image);
    // Until here they had Ignition, as they have where that program is not to be had.
    if (hasCloudinit()) config.setIn(["config", "moorage:os", "format"], "cloud-config");
  });
});

test("an update then brings back what was pushed, with every resolver black-holed", async () => {
  await must("ip", ["-n", lab.instance.netns, "route", "add", "blackhole", resolver]);
  const updating = commandLinesDuring(() => lab.mustUp());
  await Promise.all([updating, ...lab.nodes.map(losesItsResolver)]).finally(() => updating);
  const [output, commandLines] = await updating;
  update = { output, commandLines };
  const access = await lab.recordAccess();
  await introduce(lab.instance, "client2", access);
  const image = `${access.host}/demo/hello@${digest}`;
  await lab.client("client2", `docker image rm --force ${image}`);
  expect(await lab.client("client2", `docker pull --quiet ${image}`)).toContain(digest);
});

test("it has installed every node from the image's file, which was sent there and checked", () => {
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

test("an update that makes everything shows no secret: not in its output, not in any process list or log", async () => {
  await expectKept(lab, update.commandLines, { output: update.output });
});

test("and every service is restarted there, without a name server, in seconds", async () => {
  const services = (await lab.mustRoot("coreos1", "docker service ls --format '{{.Name}}'"))
    .trim()
    .split("\n");
  const kindOf = (name: string) => name.replace(/-coreos\d$/, "");
  const kinds = [...new Set(services.map(kindOf))].sort();
  expect(kinds).toEqual(["minio", "nginx", "registry", "s3"]);
  // Members of the store one by one, so that the others go on meanwhile; the other kinds beside them.
  await Promise.all(kinds.map((kind) => restarted(services.filter((name) => kindOf(name) === kind))));
  for (const { name } of lab.nodes) {
    expect(await lab.mustRoot(name, "grep ^nameserver /etc/resolv.conf"), name).toBe(
      `nameserver ${resolver}\n`,
    );
  }
  expect(await lab.plan()).toEqual([]);
});
