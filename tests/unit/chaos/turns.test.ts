import { describe, expect, test } from "vitest";
import {
  listedIn,
  restartProblems,
  restartsIn,
  spreadProblems,
  turnProblems,
  unitRestart,
  type Listed,
} from "../../chaos/turns";

const names = ["n1", "n2", "n3"];

/** One moment, in which all that is not said is in service. */
const moment = (others: Readonly<Record<string, string>> = {}): Listed =>
  new Map(names.map((name) => [name, others[name] ?? "Ready Active"]));

test("what the managers list is the better entry of each node", () => {
  const listed = listedIn("n1 Ready Active\nn1 Down Active\nn2 Ready Drain\nError response from daemon\n");
  expect([...listed].sort()).toEqual([
    ["n1", "Ready Active"],
    ["n2", "Ready Drain"],
  ]);
});

test("nodes that are drained one after the other, and come back, are as they should be", () => {
  const turns = names.flatMap((name) => [
    moment({ [name]: "Ready Drain" }),
    moment({ [name]: "Down Drain" }),
    moment(),
  ]);
  expect(turnProblems(turns, { names, each: names })).toEqual([]);
});

test("two at once, one undrained, one that had no turn, and one that stays away are said", () => {
  const seen = [
    moment({ n1: "Ready Drain" }),
    moment({ n1: "Down Drain", n2: "Down Active" }),
    moment({ n2: "Down Active" }),
  ];
  expect(turnProblems(seen, { names, each: names })).toEqual([
    "out of service at the same time: n1 (Down Drain), n2 (Down Active)",
    "n2 went without being drained: Down Active",
    "n3 was not out of service",
    "n2 did not come back into service",
  ]);
  expect(turnProblems([], { names: ["n1"], each: [] })).toEqual(["n1 did not come back into service"]);
});

test("where one node is changed, it alone may go, drained before it leaves the list", () => {
  const turns = { names, each: ["n3"] };
  const gone = new Map([...moment()].filter(([name]) => name !== "n3"));
  const drained = moment({ n3: "Ready Drain" });
  expect(turnProblems([moment(), drained, gone, moment()], turns)).toEqual([]);
  expect(turnProblems([moment(), gone, moment()], turns)).toEqual([
    "n3 went without being drained: not listed",
  ]);
  expect(turnProblems([drained, moment({ n1: "Ready Drain" }), moment()], turns)).toEqual([
    "n1 was out of service, too: Ready Drain",
  ]);
});

test("a leader that has not heard of a node yet says nothing about it, but for who is drained", () => {
  const nothing = moment({ n1: "Unknown Active", n2: "Unknown Active", n3: "Unknown Active" });
  const none = { names, each: [] };
  expect(turnProblems([nothing, moment(), nothing, moment()], none)).toEqual([]);
  const drained = moment({ n3: "Unknown Drain" });
  expect(turnProblems([moment(), drained, moment()], { names, each: ["n3"] })).toEqual([]);
  const away = moment({ n1: "Down Active" });
  expect(turnProblems([away, nothing, moment()], none)).toEqual(["n1 was out of service, too: Down Active"]);
  expect(turnProblems([away, nothing], none)).toContain("n1 did not come back into service");
});

describe("members of MinIO", () => {
  const services = ["minio-n1", "minio-n2"];
  /** What a manager says, each time in seconds. */
  const said = (rows: readonly (readonly [string, number, number, string?])[]): string =>
    rows
      .map(([name, made, now, state = "running"]) =>
        [name, ...[made, now].map((at) => `"${new Date(at * 1000).toISOString()}"`), state].join(" "),
      )
      .join("\n");

  test("are away from when their new task is made until it runs", () => {
    const nanoseconds = 'minio-n1 "2026-11-27T10:00:00.123456789Z" "2026-11-27T10:00:09.5Z" running\n';
    expect(restartsIn(nanoseconds)).toEqual([
      {
        program: "minio-n1",
        from: Date.UTC(2026, 10, 27, 10, 0, 0, 123),
        to: Date.UTC(2026, 10, 27, 10, 0, 9, 500),
      },
    ]);
    expect(restartsIn(said([["minio-n1", 1, 2, "starting"]]))).toEqual([]);
    expect(restartsIn("Error response from daemon: x")).toEqual([]);
  });

  test("are as they should be one after the other, in whatever order", () => {
    const seen = restartsIn(
      said([
        ["minio-n1", 120, 130],
        ["minio-n2", 100, 110],
      ]),
    );
    expect(restartProblems(seen, services, 99_000)).toEqual([]);
  });

  test("that are away together, or were not started anew, are said", () => {
    const seen = restartsIn(
      said([
        ["minio-n1", 109, 130],
        ["minio-n2", 100, 110],
      ]),
    );
    expect(restartProblems(seen, services, 99_000)).toEqual([
      "minio-n2 and minio-n1 were away at the same time",
    ]);
    expect(restartProblems(seen, services, 105_000)).toEqual(["minio-n2 was not started anew"]);
    expect(restartProblems([], services, 0)).toEqual(services.map((name) => `${name} was not started anew`));
  });
});

describe("a unit", () => {
  const shown = (exit: number, enter: number): string =>
    `ActiveExitTimestampMonotonic=${exit}\nActiveEnterTimestampMonotonic=${enter}\n`;

  test("is away from when it was active no more until it was again", () => {
    expect(unitRestart("keepalived/n1", shown(5_000_000, 9_500_000), 1_000_000)).toEqual([
      { program: "keepalived/n1", from: 1_005_000, to: 1_009_500 },
    ]);
  });

  test("that never stopped, or is not back, has no restart", () => {
    expect(unitRestart("k", shown(0, 9_500_000), 0)).toEqual([]);
    expect(unitRestart("k", shown(9_500_000, 5_000_000), 0)).toEqual([]);
    expect(unitRestart("k", "Failed to connect to bus\n", 0)).toEqual([]);
  });
});

test("where the first does not become healthy, no other one is started anew", () => {
  const restart = (program: string, from: number) => ({ program, from, to: from + 1 });
  expect(spreadProblems([restart("nginx/n1", 20), restart("nginx/n2", 5)], 10)).toEqual([]);
  expect(spreadProblems([restart("nginx/n2", 20), restart("nginx/n1", 30)], 10)).toEqual([
    "nginx/n1 and nginx/n2 were started anew, and not the first alone",
  ]);
});
