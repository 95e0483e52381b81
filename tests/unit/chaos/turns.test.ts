import { expect, test } from "vitest";
import { listedIn, turnProblems, type Listed } from "../../chaos/turns";

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
  expect(turnProblems(turns, { names, each: names, drained: true })).toEqual([]);
});

test("two at once, one undrained, one that had no turn, and one that stays away are said", () => {
  const seen = [
    moment({ n1: "Ready Drain" }),
    moment({ n1: "Down Drain", n2: "Down Active" }),
    moment({ n2: "Down Active" }),
  ];
  expect(turnProblems(seen, { names, each: names, drained: true })).toEqual([
    "n1 and n2 were out of service at the same time",
    "n2 went without being drained: Down Active",
    "n3 was not out of service",
    "n2 did not come back into service",
  ]);
  expect(turnProblems([], { names: ["n1"], each: [], drained: true })).toEqual([
    "n1 did not come back into service",
  ]);
});

test("where one node is installed anew, it alone may go, and by its power switch", () => {
  const turns = { names, each: ["n3"], drained: false };
  expect(turnProblems([moment({ n3: "Down Active" }), moment()], turns)).toEqual([]);
  expect(
    turnProblems([moment({ n3: "Down Active" }), moment({ n1: "Ready Drain" }), moment()], turns),
  ).toEqual(["n1 was out of service, too: Ready Drain"]);
});
