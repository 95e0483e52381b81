/** The lab's `clean` leaves nothing of a lab on this machine. */
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { groupOf } from "../../../lab/faults/cgroups";
import { setFrozen } from "../../../lab/faults/freezer";
import { consoleRun } from "../../../lab/hosts";
import { checkout, hostNamed } from "../../../lab/instance";
import { imagesIn } from "../../../lab/journey/journey";
import { load, onHost } from "../../../lab/journey/push";
import { clean, off, up } from "../../../lab/lab";
import { installerImage } from "../../../lab/virtualbox/hypervisor";
import { ensureTools } from "../../../toolchain";
import { manage } from "../../support/hypervisor";
import { OwnLab } from "../../support/ownLab";
import { tracesOf, type Traces } from "../../support/traces";
import { until } from "../../support/waiting";

const quiet = (): void => undefined;

let lab: OwnLab;
let before: Traces;

beforeAll(async () => {
  lab = await OwnLab.begin();
  // Processes of an earlier lab with this number may still be ending.
  await until("nothing of the lab is here", async () => {
    before = await tracesOf(lab.instance);
    expect(before.lab).toEqual([]);
  });
});

afterEach(() => clean(lab.instance));

afterAll(() => lab?.end());

const nothingIsLeft = (): Promise<void> =>
  until("nothing is left", async () => {
    const { lab: left, machine, staleLocks } = await tracesOf(lab.instance);
    expect(left).toEqual([]);
    expect(machine).toEqual(before.machine);
    expect(staleLocks.filter((name) => !before.staleLocks.includes(name))).toEqual([]);
  });

/** Creates the lab, and kills that with its children once `point` holds. */
function killedAt(point: () => boolean): Promise<void> {
  // With nodes from the start; guests would come later.
  const env = { ...process.env, MOORAGE_LAB_PLATFORM: "existing" };
  const child = spawn(path.join(checkout(), "node_modules/.bin/tsx"), ["lab/main.ts", "up"], {
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
      else reject(new Error(`up ended before it could be killed at ${point}`));
    });
  });
}

const namespaces = (): string[] =>
  fs.readdirSync("/run/netns").filter((name) => name.startsWith(`${lab.instance.prefix}-`));

test("clean removes a lab with hosts that run, hang, are off and reboot", async () => {
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
  setFrozen(groupOf({ instance, host: second }, "freezer"), true);
  expect((await tracesOf(instance)).lab.length).toBeGreaterThan(50);
  await clean(instance);
  await nothingIsLeft();
});

test("clean removes a hypervisor with a guest that runs and one that lost power", async () => {
  const { instance } = lab;
  await up({ platform: "virtualbox", say: quiet });
  const network = ["--netname", "tried", "--network", "10.0.2.0/24", "--enable"];
  const forward = `ssh:tcp:[127.0.0.1]:${hostNamed(instance, "coreos1").sshPort}:[10.0.2.11]:22`;
  await manage(instance, "natnetwork", "add", ...network, "--port-forward-4", forward);
  await manage(instance, "natnetwork", "start", "--netname", "tried");
  const drive = ["--port", "2", "--device", "0", "--type", "dvddrive", "--medium", installerImage(instance)];
  for (const name of ["coreos1", "coreos2"]) {
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

test("clean removes a lab whose creation was killed, and the next `up` completes one", async () => {
  const someHosts = () => namespaces().some((name) => name.endsWith("-coreos3"));
  const points = [
    () => fs.existsSync(`/run/netns/${lab.instance.netns}`),
    someHosts,
    () => fs.existsSync(path.join(lab.instance.dir, "forward", `${lab.instance.registryPort}.sock`)),
  ];
  for (const point of points) {
    await killedAt(point);
    await clean(lab.instance);
    await nothingIsLeft();
  }
  await killedAt(someHosts);
  const { instance } = await up({ platform: "existing", say: quiet });
  for (const host of instance.hosts) expect(await onHost(instance, host, "hostname")).toBe(`${host.name}\n`);
  expect((await up({ platform: "existing", say: quiet })).started).toBe(0);
});
