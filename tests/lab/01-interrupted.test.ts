import { spawn, type ChildProcess } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { run, type Recorded } from "../../lab/exec";
import { checkout } from "../../lab/instance";
import { releaseStaleLock } from "../../lab/journey/stackLock";
import { descendantsOf, endAll } from "../support/processes";
import { TestLab } from "../support/testLab";

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

/**
 * Starts an update and kills it without notice once its output shows `point`, or where it hangs.
 * @param all with its whole process group, as a closed terminal does
 */
function killedAt(point: RegExp, child: ChildProcess, all = false): Promise<string> {
  const kill = (): void => {
    if (child.pid === undefined) return;
    orphans.push(...descendantsOf(child.pid));
    process.kill(all ? -child.pid : child.pid, "SIGKILL");
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

describe("an update that is killed half way", () => {
  test("with make lab, which it is part of, goes on with the next one", async () => {
    log += await killedAt(/preflight: looking/, startMakeLab(), true);
    const second = await lab.up();
    expect(second.output).toMatch(/currently locked by 1 lock/);
    expect(await releaseStaleLock(lab.instance, lab.env)).toBe(true);
  });

  test.each([
    ["inside an installation", /coreos\d: Wiping/],
    ["while a node joins", /joining the Swarm/],
    ["while services are made", /docker:index:Service minio-\S+ creating/],
    ["while the front comes up", /docker:index:Service nginx creat/],
  ])("%s, says who holds the lock and lets it go", async (_when, point) => {
    log += await killedAt(point, lab.startUp());
    const second = await lab.up();
    expect(second.code).not.toBe(0);
    expect(second.output).toMatch(/currently locked by 1 lock/);
    expect(await releaseStaleLock(lab.instance, lab.env)).toBe(true);
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
