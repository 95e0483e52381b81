/** Updates are killed at several points, and the next one goes on. It starts from bare hosts. */
import { spawn, type ChildProcess } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { INSTALL_FOLDER } from "../../../hosts/src/disk-claim";
import { run, type Recorded } from "../../../lab/exec";
import { checkout } from "../../../lab/instance";
import { releaseStaleLock } from "../../../lab/journey/stackLock";
import { ended } from "../../support/output";
import { descendantsOf, endAll } from "../../support/processes";
import { TestLab } from "../../support/testLab";
import { until } from "../../support/waiting";

let lab: TestLab;
let log = "";
/** Plugins of killed updates, which go on. */
const orphans: Recorded[] = [];

beforeAll(async () => {
  lab = await TestLab.open();
  const { code, output } = await lab.pulumi(["destroy", "--yes", "--skip-preview"]);
  expect(code, output).toBe(0);
});

afterAll(() => endAll(orphans));

const forThisLab = () => ({ MOORAGE_LAB: String(lab.instance.number) });

/** `make lab` in a process group of its own. */
function startMakeLab(): ChildProcess {
  return spawn("make", ["lab"], {
    env: { ...process.env, ...forThisLab() },
    cwd: checkout(),
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
}

interface Killed {
  /** Kills the whole process group, as a closed terminal does. Plugins have groups of their own. */
  readonly group?: boolean;
  /** Kills the plugins too, as a power loss does. */
  readonly plugins?: boolean;
  /** Ctrl-C in place of SIGKILL. */
  readonly signal?: "SIGINT";
}

/** A hopeless update is killed after this time. */
const HOPELESS_MS = 900_000;

/** Kills an update once its output shows `point`. @returns the output */
function killedAt(
  point: RegExp,
  child: ChildProcess,
  { group, plugins, signal }: Killed = {},
): Promise<string> {
  const kill = (): void => {
    if (child.pid === undefined) return;
    const started = descendantsOf(child.pid);
    process.kill(group ? -child.pid : child.pid, signal ?? "SIGKILL");
    if (plugins) endAll(started);
    else orphans.push(...started);
  };
  return new Promise((resolve, reject) => {
    let output = "";
    let reached = false;
    const limit = setTimeout(kill, HOPELESS_MS);
    const look = (text: Buffer): void => {
      output += text.toString();
      if (reached || !point.test(output)) return;
      reached = true;
      kill();
    };
    child.stdout?.on("data", look);
    child.stderr?.on("data", look);
    child.on("exit", () => {
      clearTimeout(limit);
      if (reached) resolve(output);
      else reject(new Error(`the update never came to ${point}:\n${output}`));
    });
  });
}

/** The next update reports the lock, which is then released. */
async function expectLocked(): Promise<void> {
  const second = await lab.up();
  expect(second.code).not.toBe(0);
  expect(second.output).toMatch(/currently locked by 1 lock/);
  expect(await releaseStaleLock(lab.instance, lab.env)).toBe(true);
}

/** While a live system has this file, an installation stops at a half written disk. */
const hold = "/run/moorage-lab/hold-installation";
/** The installer on this node is killed too. */
const stopped = "coreos2";

/** Matches an output that says `text` of each node. */
const ofEach = (text: string): RegExp =>
  new RegExp(`^${lab.nodes.map(({ name }) => `(?=[^]*${name}: ${text})`).join("")}`);

const onEach = (line: string): Promise<string[]> =>
  Promise.all(lab.nodes.map(({ name }) => lab.mustRoot(name, line)));

const letGo = (): Promise<unknown> =>
  Promise.allSettled(lab.nodes.map(({ name }) => lab.root(name, `rm -f ${hold}`)));

describe("an update that is killed", () => {
  test("in the preflight, as part of make lab, is continued by the next one", async () => {
    log += await killedAt(/preflight: looking/, startMakeLab(), { group: true });
    await expectLocked();
  });

  test("during the installations, with its plugins, leaves half written disks", async () => {
    const touched = async (): Promise<void> => void (await onEach(`touch ${hold}`));
    await until("all live systems run", touched, { netSeconds: 300 });
    log += await killedAt(ofEach("Wiping"), lab.startUp(), { plugins: true });
    const disk = `"$(readlink -f "$(cat ${INSTALL_FOLDER}/disk)")"`;
    const halfWritten = async (): Promise<void> => {
      const found = await onEach(`/usr/sbin/blkid -p -o value -s TYPE -s LABEL ${disk}`);
      // The label is written last.
      expect(found).toEqual(lab.nodes.map(() => "ext4\n"));
    };
    await until("all disks are half written", halfWritten, { netSeconds: 120 });
    await lab.mustRoot(stopped, `kill -s KILL -- "-$(cat ${INSTALL_FOLDER}/pid)"`);
    await expectLocked();
  });

  test("while a node joins has waited for running installations and started the killed one again", async () => {
    const child = lab.startUp();
    const met = ended(child).saying(ofEach("(an installation is in progress|installing to)"));
    try {
      const [output] = await Promise.all([killedAt(/joining the Swarm/, child), met.then(letGo)]);
      log += output;
      const found = lab.nodes.map(({ name }) => [
        name,
        output.includes(`${name}: an installation is in progress, waiting for it`),
        output.includes(`${name}: installing to /dev/disk/by-id/lab-${name}-system`),
      ]);
      expect(found).toEqual(lab.nodes.map(({ name }) => [name, name !== stopped, name === stopped]));
    } finally {
      await letGo();
    }
    await expectLocked();
  });

  test("by Ctrl-C in make lab records what it has created and leaves no lock", async () => {
    const point = /docker:index:\w+ \S+ creating/;
    const output = await killedAt(point, startMakeLab(), { group: true, signal: "SIGINT" });
    log += output;
    expect(output).toMatch(/pulumi up ended with exit code \d+.*run make lab again: it goes on from here/);
    expect(await releaseStaleLock(lab.instance, lab.env)).toBe(false);
  });

  test("while nginx is created, without its plugins, leaves a lock that names its holder", async () => {
    log += await killedAt(/docker:index:Service nginx creat/, lab.startUp());
    await expectLocked();
  });

  test("is finished by the next make lab", async () => {
    const {
      code,
      stdout: output,
      stderr,
    } = await run("make", ["lab"], { env: forThisLab(), cwd: checkout() });
    log += output + stderr;
    expect(code, output + stderr).toBe(0);
    expect(output).toMatch(/Pushed +\S+@sha256:[0-9a-f]{64} from client1, pulled on client2/);
    expect(output).toMatch(/acceptance: \d+ checks passed/);
    expect(output).not.toMatch(/warning: .*plugin/i);
    const refreshed = await lab.refresh(["--clear-pending-creates"]);
    expect(refreshed.code, refreshed.output).toBe(0);
    await lab.recordAccess();
    const { sshPrivateKey, password } = await lab.outputs();
    expect(log).not.toContain(String(password));
    expect(log).not.toContain(String(sshPrivateKey).split("\n")[2]);
  });
});
