import { describe, expect, test } from "vitest";
import { describeInstance } from "../../../lab/instance";
import type { Place } from "../../../lab/faults/place";
import { mendRot, rotCommands, rottenIn, unfinished } from "../../chaos/healing";
import { fullPlan } from "../../chaos/plan";
import { runbook } from "../../support/runbook";

const instance = describeInstance(3);
const nodes: Place[] = instance.hosts
  .filter(({ kind }) => kind === "node")
  .map((host) => ({ instance, host }));
const deep = "sh /etc/moorage/healing now deep";
const rotten = "healing, by a deep scan\nnot healed: 7 objects are not on all drives: minio-coreos3\n";

/** A store whose healing says one thing after the other, and the last one from then on. */
function store(answers: readonly string[], looked = "9 4") {
  const done: string[] = [];
  const left = [...answers];
  const shell = ({ host }: Place, line: string) => {
    if (line.endsWith(" say")) return Promise.resolve({ code: 0, output: `looked=${looked}\nall=4\n` });
    done.push(`${host.name}: ${line}`);
    const output = line === deep ? ((left.length > 1 ? left.shift() : left[0]) ?? "") : "";
    return Promise.resolve({ code: 0, output });
  };
  return { done, mend: () => mendRot(nodes, () => undefined, shell, 1, 60) };
}

describe("what has rotted is mended as docs/runbook.md says", () => {
  test("by its very commands", () => {
    const { commands = [] } = runbook().find(({ title }) => /rotted/.test(title)) ?? {};
    expect(commands.map(({ line }) => line)).toEqual(
      Object.values(rotCommands()).map((line) => `sudo ${line}`),
    );
    expect(
      fullPlan()
        .filter(({ fault, choice }) => fault === "corrupt" && choice === "minio")
        .every(({ remedy }) => remedy === "heal"),
    ).toBe(true);
  });

  test("by a deep scan on the first storage node, where that is enough", async () => {
    const { done, mend } = store(["healed: 3 of 9 objects\n"]);
    expect(await mend()).toEqual({ command: `\`${deep}\`` });
    expect(done).toEqual([`coreos1: ${deep}`]);
  });

  test("by emptying the one drive that it names, and looking until it says that all is healed", async () => {
    const { done, mend } = store([rotten, "not healed: exit code 1: no drive", "healed: 9 of 9 objects\n"]);
    expect(await mend()).toEqual({ command: `\`${deep}\`, the drive of coreos3 emptied` });
    expect(done).toEqual([
      `coreos1: ${deep}`,
      `coreos3: ${rotCommands().empty}`,
      `coreos1: ${deep}`,
      `coreos1: ${deep}`,
    ]);
  });

  test("and no drive is emptied twice, while another is away, or where several are named", async () => {
    const again = store([rotten]);
    expect((await again.mend()).problem).toMatch(/^the healing says: not healed: 7 objects/);
    expect(again.done.filter((line) => line.startsWith("coreos3"))).toHaveLength(1);
    const away = store([rotten], "9 3");
    await away.mend();
    expect(away.done.filter((line) => !line.endsWith(deep))).toEqual([]);
    expect(
      rottenIn("not healed: 2 objects are not on all drives: minio-coreos1 minio-coreos3"),
    ).toBeUndefined();
  });
});

test("a healing is over when nothing is wanted, doing or failed, all drives are there, and it has looked", () => {
  const said = "healed=90\nlooked=120 4\nall=4";
  expect(unfinished(said, 120)).toEqual([]);
  expect(unfinished(said, 121)).toEqual(["healing: has not looked yet"]);
  expect(unfinished("looked=120 3\nall=4", 1)).toEqual(["healing: 3 drives", "healing: never done"]);
  expect(
    unfinished(`wanted=5 a drive was away, or full\nfailed=6 2 exit code 1\ndoing=7\n${said}`, 1),
  ).toEqual([
    "healing: wanted=5 a drive was away, or full",
    "healing: doing=7",
    "healing: failed=6 2 exit code 1",
  ]);
});
