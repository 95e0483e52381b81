import { spawn, type ChildProcess } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { INSTALL_FOLDER } from "../../hosts/src/disk-claim";
import { run, type Recorded } from "../../lab/exec";
import { checkout } from "../../lab/instance";
import { releaseStaleLock } from "../../lab/journey/stackLock";
import { ended } from "../support/output";
import { descendantsOf, endAll } from "../support/processes";
import { eventually, TestLab } from "../support/testLab";

let lab: TestLab;
let log = "";
/** Plugins of the updates that were killed. Some go on, as they do wherever Pulumi is killed. */
const orphans: Recorded[] = [];

beforeAll(async () => {
  lab = await TestLab.open();
});

afterAll(() => endAll(orphans));

const forThisLab = () => ({ MOORAGE_LAB: String(lab.instance.number) });

/** `make lab` with all that it starts in a process group of its own. */
function startMakeLab(): ChildProcess {
  return spawn("make", ["lab"], {
    env: { ...process.env, ...forThisLab() },
    cwd: checkout(),
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** What is killed besides the process itself. */
interface Killed {
  /** Its whole process group, as by a closed terminal. Plugins are in groups of their own. */
  readonly group?: boolean;
  /** All that it has started, as by a machine that goes off. */
  readonly plugins?: boolean;
  /** Ctrl-C in place of a kill without notice. */
  readonly signal?: "SIGINT";
}

/** Starts an update and kills it once its output shows `point`, or where it hangs. */
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
    const limit = setTimeout(kill, 540_000);
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

/** The next update says who holds the lock, which is let go. */
async function expectLocked(): Promise<void> {
  const second = await lab.up();
  expect(second.code).not.toBe(0);
  expect(second.output).toMatch(/currently locked by 1 lock/);
  expect(await releaseStaleLock(lab.instance, lab.env)).toBe(true);
}

/** While it is there on a live system, an installation goes no further than to a disk that is half written. */
const hold = "/run/moorage-lab/hold-installation";
/** The node whose installer is killed as well. */
const stopped = "coreos2";

/** An output that says `text` of each node. */
const ofEach = (text: string): RegExp =>
  new RegExp(`^${lab.nodes.map(({ name }) => `(?=[^]*${name}: ${text})`).join("")}`);

const onEach = (line: string): Promise<string[]> =>
  Promise.all(lab.nodes.map(({ name }) => lab.mustRoot(name, line)));

/** Wherever it can be reached. */
const letGo = (): Promise<unknown> =>
  Promise.allSettled(lab.nodes.map(({ name }) => lab.root(name, `rm -f ${hold}`)));

describe("an update that is killed half way", () => {
  test("with make lab, which it is part of, goes on with the next one", async () => {
    log += await killedAt(/preflight: looking/, startMakeLab(), { group: true });
    await expectLocked();
  });

  test("inside the installations, with all that it has started, leaves disks that are half written", async () => {
    // Where the live systems are still coming up, it waits for them.
    await eventually(60, async () => void (await onEach(`touch ${hold}`)));
    log += await killedAt(ofEach("Wiping"), lab.startUp(), { plugins: true });
    const disk = `"$(readlink -f "$(cat ${INSTALL_FOLDER}/disk)")"`;
    await eventually(20, async () => {
      const found = await onEach(`/usr/sbin/blkid -p -o value -s TYPE -s LABEL ${disk}`);
      // The label, which is written last, is not there.
      expect(found).toEqual(lab.nodes.map(() => "ext4\n"));
    });
    await lab.mustRoot(stopped, `kill -s KILL -- "-$(cat ${INSTALL_FOLDER}/pid)"`);
    await expectLocked();
  });

  test("while a node joins, has waited for the installations that go on, and begun anew the one that does not", async () => {
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

  test("by Ctrl-C in make lab, ends once what it has made is written down, and leaves no lock", async () => {
    const point = /docker:index:\w+ \S+ creating/;
    const output = await killedAt(point, startMakeLab(), { group: true, signal: "SIGINT" });
    log += output;
    expect(output).toMatch(/pulumi up ended with exit code \d+.*run make lab again: it goes on from here/);
    expect(await releaseStaleLock(lab.instance, lab.env)).toBe(false);
  });

  test.each([
    ["while the store is made", /docker:index:Service minio-\S+ creating/],
    ["while the front comes up", /docker:index:Service nginx creat/],
  ])("%s, says who holds the lock and lets it go", async (_when, point) => {
    log += await killedAt(point, lab.startUp());
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
