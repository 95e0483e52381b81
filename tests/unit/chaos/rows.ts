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
  notPushed: 0,
  failedOnReturn: 0,
  probes: 400,
  looks: 58,
  elsewhere: true,
  gapMs: 900,
  slowestMs: 90,
  slowestAfterMs: 90,
  secondsOfTwo: 0,
  lost: [],
  strengthSeconds: 31,
  reasons: [],
  problems: [],
};

export const plainChange: ChangeRow = {
  name: "",
  pushes: { all: 9, before: 0, after: 0 },
  pulls: { all: 30, before: 0, after: 0 },
  probes: { all: 400, unanswered: 0 },
  gapMs: 900,
  slowestMs: 90,
  secondsOfTwo: 0,
  lost: [],
  seconds: 80,
  reasons: [],
  problems: [],
};
