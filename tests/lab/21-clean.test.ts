import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { consoleRun } from "../../lab/hosts";
import { checkout, hostNamed, ownerFile } from "../../lab/instance";
import { imagesIn } from "../../lab/journey/journey";
import { load, onHost } from "../../lab/journey/push";
import { clean, off, up } from "../../lab/lab";
import { installerImage } from "../../lab/virtualbox/hypervisor";
import { ensureTools } from "../../toolchain";
import { manage } from "../support/hypervisor";
import { eventually } from "../support/testLab";
import { OwnLab } from "../support/ownLab";
import { tracesOf, type Traces } from "../support/traces";

const quiet = (): void => undefined;

let lab: OwnLab;
let before: Traces;

beforeAll(async () => {
  lab = await OwnLab.begin();
  // What an earlier lab of this number had may still be ending.
  await eventually(10, async () => {
    before = await tracesOf(lab.instance);
    expect(before.lab).toEqual([]);
  });
});

afterEach(() => clean(lab.instance));

afterAll(() => lab?.end());

/** Everything is as before. What was told to end may take a moment. */
function nothingIsLeft(): Promise<number> {
  return eventually(5, async () => {
    const { lab: left, machine, staleLocks } = await tracesOf(lab.instance);
    expect(left).toEqual([]);
    expect(machine).toEqual(before.machine);
    expect(staleLocks.filter((name) => !before.staleLocks.includes(name))).toEqual([]);
  });
}

/** Runs a command of the lab, and kills it with all it started once `point` holds. */
function killedAt(command: string, point: () => boolean): Promise<void> {
  // With nodes from the start, which guests would not be.
  const env = { ...process.env, MOORAGE_LAB_PLATFORM: "existing" };
  const child = spawn(path.join(checkout(), "node_modules/.bin/tsx"), ["lab/main.ts", command], {
    env,
    cwd: checkout(),
    detached: true,
    stdio: "ignore",
  });
  return new Promise((resolve, reject) => {
    let reached = false;
    const timer = setInterval(() => {
      if (reached || child.pid === undefined || !point()) return;
      reached = true;
      process.kill(-child.pid, "SIGKILL");
    }, 5);
    child.on("error", reject);
    child.on("exit", () => {
      clearInterval(timer);
      if (reached) resolve();
      else reject(new Error(`${command} ended before it could be killed at ${point}`));
    });
  });
}

const namespaces = (): string[] =>
  fs.readdirSync("/run/netns").filter((name) => name.startsWith(`${lab.instance.prefix}-`));

test("a lab at work leaves nothing, with a host frozen, one off and one rebooting", async () => {
  const { instance } = lab;
  const images = await imagesIn(checkout(), await ensureTools(quiet));
  await up({ platform: "existing", say: quiet });
  const [first, second, third, fourth] = instance.hosts;
  if (!first || !second || !third || !fourth) throw new Error("four hosts are needed");
  for (const host of [first, second]) {
    await load(instance, host, path.join(images, "nginx.tar"));
    const lines = [
      `docker swarm init --advertise-addr ${host.address}`,
      "docker network create --driver overlay --attachable web",
      "docker run --detach --network web --volume pages:/srv moorage-lab/nginx:latest",
    ];
    for (const line of lines) await onHost(instance, host, line);
  }
  await off(instance, third);
  await consoleRun(fourth, ["systemctl", "reboot"]);
  freeze(second.name);
  expect((await tracesOf(instance)).lab.length).toBeGreaterThan(50);
  await clean(instance);
  await nothingIsLeft();
});

/** Stops all of a host's processes where they are, as a kernel that hangs. */
function freeze(name: string): void {
  const group = `${lab.instance.prefix}/${hostNamed(lab.instance, name).name}`;
  const unified = `/sys/fs/cgroup/${group}/cgroup.freeze`;
  if (fs.existsSync(unified)) fs.writeFileSync(unified, "1");
  else fs.writeFileSync(`/sys/fs/cgroup/freezer/${group}/freezer.state`, "FROZEN");
}

test("a hypervisor's lab leaves nothing, with one guest running and one whose power was cut", async () => {
  const { instance } = lab;
  await up({ platform: "virtualbox", say: quiet });
  const network = ["--netname", "tried", "--network", "10.0.2.0/24", "--enable"];
  const forward = `ssh:tcp:[127.0.0.1]:${hostNamed(instance, "coreos1").sshPort}:[10.0.2.11]:22`;
  await manage(instance, "natnetwork", "add", ...network, "--port-forward-4", forward);
  await manage(instance, "natnetwork", "start", "--netname", "tried");
  for (const name of ["coreos1", "coreos2"]) {
    const drive = [
      "--port",
      "2",
      "--device",
      "0",
      "--type",
      "dvddrive",
      "--medium",
      installerImage(instance),
    ];
    await manage(instance, "createvm", "--name", name, "--register");
    await manage(instance, "modifyvm", name, "--nic1", "natnetwork", "--nat-network1", "tried");
    await manage(instance, "storagectl", name, "--name", "SATA", "--add", "sata");
    await manage(instance, "storageattach", name, "--storagectl", "SATA", ...drive);
    await manage(instance, "startvm", name, "--type", "headless");
  }
  await manage(instance, "controlvm", "coreos2", "poweroff");
  expect(await manage(instance, "showvminfo", "coreos1", "--machinereadable")).toContain('VMState="running"');
  expect((await tracesOf(instance)).lab.some((trace) => trace.startsWith("port "))).toBe(true);
  await clean(instance);
  await nothingIsLeft();
});

test("a lab whose making was cut off leaves nothing, however far it came", async () => {
  const points = [
    () => fs.existsSync(`/run/netns/${lab.instance.netns}`),
    () => namespaces().some((name) => name.endsWith("-coreos3")),
    () => fs.existsSync(path.join(lab.instance.dir, "forward", `${lab.instance.registryPort}.sock`)),
  ];
  for (const point of points) {
    await killedAt("up", point);
    await clean(lab.instance);
    await nothingIsLeft();
  }
});

test("a lab whose making was cut off is made by the next up, hosts that answer and all", async () => {
  await killedAt("up", () => namespaces().some((name) => name.endsWith("-coreos3")));
  const { instance } = await up({ platform: "existing", say: quiet });
  for (const host of instance.hosts) expect(await onHost(instance, host, "hostname")).toBe(`${host.name}\n`);
  expect((await up({ platform: "existing", say: quiet })).started).toBe(0);
});

test("a clean that was cut off is finished by the next one", async () => {
  const { dir, number } = lab.instance;
  await up({ platform: "existing", say: quiet });
  const all = namespaces().length;
  const points = [
    () => namespaces().length < all,
    () => namespaces().length === 0,
    () => fs.existsSync(dir) && !fs.existsSync(path.join(dir, "client1")),
  ];
  for (const point of points) {
    await killedAt("clean", point);
    // By its owner a lab is found again where no number is given.
    expect(fs.existsSync(ownerFile(number))).toBe(true);
  }
  await clean(lab.instance);
  await nothingIsLeft();
});
