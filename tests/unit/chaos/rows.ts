/** Rows of figures that keep every bound. */
import type { Row } from "../../chaos/bounds";
import type { ChangeRow } from "../../chaos/changeRow";

export const plainRow: Row = {
  step: { fault: "power", role: "holder" },
  nodes: ["n1"],
  roles: ["holder", "leader"],
  span: { from: 1000, to: 61_000 },
  pushes: { all: 9, before: 0, after: 0 },
  pulls: { all: 30, before: 0, after: 0 },
  pushed: 3,
  failures: [],
  large: { count: 3, bytes: 22 * 1024 ** 2, meanwhile: 1 },
  failedOnReturn: 0,
  probes: 400,
  hurtProbes: 4,
  looks: { seconds: 58, of: 60 },
  elsewhere: true,
  gapMs: 900,
  slowestMs: 90,
  slowestAfterMs: 90,
  secondsOfTwo: 0,
  longestOfTwoMs: 0,
  lost: [],
  strengthSeconds: 31,
  reasons: [],
  problems: [],
};

export const plainChange: ChangeRow = {
  name: "",
  span: { from: 1000, to: 86_000 },
  pushes: { all: 9, before: 0, after: 0 },
  pulls: { all: 30, before: 0, after: 0 },
  probes: { all: 400, unanswered: 0 },
  gapMs: 900,
  manifestsMs: 0,
  slowestMs: 90,
  secondsOfTwo: 0,
  longestOfTwoMs: 0,
  looks: { seconds: 85, of: 85 },
  large: { count: 5, bytes: 30 * 1024 ** 2, meanwhile: 4 },
  lost: [],
  seconds: 80,
  reasons: [],
  problems: [],
};
