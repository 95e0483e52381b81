import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { faultNames, faults, type Fault } from "../../../lab/faults";
import { faultWork } from "../../../lab/faults/command";
import { checkout, describeInstance, hostNamed } from "../../../lab/instance";

const instance = describeInstance(3);
const place = { instance, host: hostNamed(instance, "coreos2") };
const known: Readonly<Record<string, Fault>> = faults;

afterEach(() => vi.restoreAllMocks());

/** Each fault with each of the words that may follow its name. */
const typed = faultNames.flatMap((name) =>
  (known[name]?.choices ?? [undefined]).map((choice) => [name, choice] as const),
);

describe("what is typed", () => {
  test.each(typed)("as fault HOST %s %s is that fault's, at that host", async (name, choice) => {
    const begin = vi.spyOn(known[name] as Fault, "begin").mockResolvedValue("done to it");
    const words = ["coreos2", name, ...(choice === undefined ? [] : [choice])];
    const { done, work } = faultWork("fault", instance, words);
    expect(begin).not.toHaveBeenCalled();
    expect(await work()).toBe("done to it");
    expect(begin.mock.calls).toEqual([[place, choice]]);
    expect(done).toBe(`coreos2 ${name} done`);
  });

  test.each(faultNames)("as mend HOST %s takes that one back, or says what does", async (name) => {
    const fault = known[name] as Fault;
    const { done, work } = faultWork("mend", instance, ["coreos2", name]);
    expect(done).toBe(`coreos2 ${name} taken back`);
    if (fault.end === undefined) {
      await expect(work()).rejects.toThrow(`does not take "${name}" back: ${fault.mendedBy}`);
      return;
    }
    const end = vi.spyOn(fault as Required<Fault>, "end").mockResolvedValue(undefined);
    await work();
    expect(end.mock.calls).toEqual([[place]]);
  });

  test.each([
    [["coreos9", "power"], /no host called "coreos9"/],
    [[], /no host named/],
    [["coreos2"], /no fault named: give one of power, /],
    [["coreos2", "rust"], /no fault called "rust"/],
    [["coreos2", "power", "slowly"], /"slowly" is too much: fault power takes no more/],
    [["coreos2", "freeze", "nginx", "s3"], /"s3" is too much: fault freeze takes no more/],
  ])("%j is refused before anything is done", (words, message) => {
    expect(() => faultWork("fault", instance, words)).toThrow(message);
  });

  test("that one program alone is to be thawed is refused: all of a host is", () => {
    expect(() => faultWork("mend", instance, ["coreos2", "freeze", "nginx"])).toThrow(/"nginx" is too much/);
  });
});

describe("the lab's command line", () => {
  /** With labs of its own, in which nothing runs. */
  function lab(...words: string[]): { status: number | null; output: string } {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-labs-"));
    fs.mkdirSync(path.join(folder, "7"));
    fs.writeFileSync(path.join(folder, "7", "owner"), checkout());
    const env = { ...process.env, MOORAGE_LAB_DIR: folder, MOORAGE_LAB: "7" };
    const command = ["-s", "run", "lab", "--", ...words];
    const { status, stdout, stderr } = spawnSync("npm", command, { cwd: checkout(), env, encoding: "utf8" });
    fs.rmSync(folder, { recursive: true });
    return { status, output: stdout + stderr };
  }

  test("lists every fault", () => {
    const { status, output } = lab("faults");
    expect(status, output).toBe(0);
    expect(
      output
        .trim()
        .split("\n")
        .map((line) => line.split(" ")[0]),
    ).toEqual(faultNames);
  });

  test.each(["fault", "mend"])("hands on what follows %s", (verb) => {
    const { status, output } = lab(verb, "coreos2", "rust");
    expect(output).toMatch(/^lab: no fault called "rust": give one of power, kill, /);
    expect(status).toBe(1);
  });
});
