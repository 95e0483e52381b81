import { describe, expect, test } from "vitest";
import { brokenBetween, brokenBounds, type Between, type Row } from "../../chaos/bounds";
import { nothing } from "../../chaos/kept";
import type { Step } from "../../chaos/plan";
import { betweenCells, brokenRows, cellsOf, page, rowText } from "../../chaos/table";
import { plainRow } from "./rows";

const good: Row = {
  ...plainRow,
  nodes: ["n2"],
  roles: ["holder", "minio"],
  pushes: { all: 9, before: 2, after: 1 },
  pulls: { all: 30, before: 2, after: 0 },
  gapMs: 1234,
  slowestAfterMs: 100,
  secondsOfTwo: 1,
  strengthSeconds: 31.4,
  reasons: ["2× pull: too slow"],
};

const between: Between = {
  pushes: { all: 9, before: 1, after: 0 },
  pulls: { all: 30, before: 0, after: 0 },
  reasons: ["1× push: too slow"],
};

describe("bounds", () => {
  test("are kept, or say how far off they are", () => {
    expect(brokenBounds(good)).toEqual([]);
    const bad = { ...good, gapMs: 2500, slowestMs: Infinity, slowestAfterMs: 2100, secondsOfTwo: 3 };
    expect(brokenBounds({ ...bad, lost: ["x"], pulls: { all: 9, before: 1, after: 1 } })).toEqual([
      "1 acknowledged are lost",
      "1 pulls failed",
      "a gap of 2.5 s",
      "first byte: no answer",
      "first byte on return: 2.1 s",
      "two holders of the VIP for 3 s",
    ]);
    expect(brokenBounds({ ...good, strengthSeconds: undefined, problems: ["missing: x"] })).toEqual([
      "not at full strength",
      "missing: x",
    ]);
  });

  test("allow a gap where the holder stays, and silence where everything is refused", () => {
    const step = { fault: "power", role: "minio" } as const;
    expect(brokenBounds({ ...good, step, roles: ["minio"], gapMs: 9000, elsewhere: false })).toEqual([]);
    // A MinIO node may be the holder, too.
    expect(brokenBounds({ ...good, step, gapMs: 9000 })).toEqual(["a gap of 9.0 s"]);
    for (const refuses of ["everything", "silence"] as const) {
      const step = { fault: "power", role: "holder", count: 4, refuses } as const;
      const silent = { ...good, step, gapMs: 60_000, slowestMs: Infinity, pushed: 0 };
      const all = { ...silent, pulls: { all: 9, before: 9, after: 9 } };
      expect(brokenBounds(all)).toEqual([]);
      expect(brokenBounds({ ...all, failedOnReturn: 2 })).toEqual(["2 pulls failed when it answered again"]);
    }
  });

  test("want a push to succeed while one node is hurt, and none where pushes are refused", () => {
    expect(brokenBounds({ ...good, pushed: 0 })).toEqual(["no push begun while it lasted succeeded"]);
    const step = { fault: "power", role: "minio", count: 2, refuses: "pushes" } as const;
    expect(brokenBounds({ ...good, step, pushed: 0, notPushed: 3 })).toEqual([]);
  });

  test("want all pushes to succeed while one MinIO is down and nothing else is wrong", () => {
    const failed = (step: Step): string[] => brokenBounds({ ...good, step, notPushed: 1 });
    const broken = ["1 pushes begun while it lasted failed"];
    expect(failed({ fault: "power", role: "leader" })).toEqual(broken);
    expect(failed({ fault: "freeze-host", role: "leader" })).toEqual(broken);
    for (const fault of ["kill", "freeze"] as const) {
      expect(failed({ fault, choice: "minio", role: "minio" })).toEqual(broken);
      expect(failed({ fault, choice: "registry", role: "registry" })).toEqual([]);
    }
    expect(failed({ fault: "full-disk", role: "minio" })).toEqual([]);
  });

  test("want the VIP to leave its holder, in time where others miss it at once", () => {
    const row = (step: Step, more: Partial<Row>): string[] => brokenBounds({ ...good, step, ...more });
    const stays = { elsewhere: false };
    const late = { gapMs: 3000 };
    for (const fault of ["power", "drop", "drop-out", "cut-off", "freeze-host", "lose"] as const) {
      expect(row({ fault, role: "holder" }, stays), fault).toEqual(["the VIP did not leave"]);
      expect(row({ fault, role: "holder" }, late), fault).toEqual(["a gap of 3.0 s"]);
    }
    expect(row({ fault: "kill", choice: "nginx", role: "holder" }, stays)).toEqual(["the VIP did not leave"]);
    expect(row({ fault: "drop-in", role: "holder" }, stays)).toEqual(["the VIP did not leave"]);
    expect(row({ fault: "drop-in", role: "holder" }, late)).toEqual([]);
    expect(row({ fault: "slow-disk", role: "holder" }, { ...stays, ...late })).toEqual([]);
  });

  test("are not kept by a row in which hardly anything was asked", () => {
    expect(brokenBounds({ ...good, pulls: { all: 5, before: 0, after: 0 } })).toEqual(["only 5 pulls"]);
    expect(brokenBounds({ ...good, probes: 119 })).toEqual(["the prober asked only 119 times in 60 s"]);
    expect(brokenBounds({ ...good, looks: 29 })).toEqual(["the VIP was looked for only 29 times in 60 s"]);
    const enough = { probes: 120, looks: 30, pulls: { all: 6, before: 0, after: 0 } };
    expect(brokenBounds({ ...good, ...enough })).toEqual([]);
  });

  test("want what no page has a command for to mend itself", () => {
    const command = "`deep`";
    expect(brokenBounds({ ...good, command })).toEqual(["not by itself, but by `deep`"]);
    const step = { fault: "corrupt", choice: "minio", role: "minio", remedy: "heal" } as const;
    expect(brokenBounds({ ...good, step, command })).toEqual([]);
  });

  test("hold between faults, too", () => {
    expect(brokenBetween(between)).toEqual([]);
    const failed = {
      ...between,
      pushes: { all: 9, before: 3, after: 2 },
      pulls: { all: 9, before: 1, after: 1 },
    };
    expect(brokenBetween(failed)).toEqual(["2 pushes failed", "1 pulls failed"]);
    expect(betweenCells(failed).at(-1)).toBe("2 pushes failed; 1 pulls failed");
    expect(betweenCells(between)).toHaveLength(cellsOf(good).length);
    expect(brokenRows({ ...nothing, rows: [good], between })).toBe(0);
    expect(brokenRows({ ...nothing, rows: [{ ...good, probes: 0 }], between: failed })).toBe(2);
  });

  test("are the last column of the table", () => {
    const mended = { ...good, step: { ...good.step, remedy: "up" }, lost: ["x"], command: "`x`" } as const;
    expect(cellsOf({ ...mended, refusedSeconds: 12.34 }).slice(-6)).toEqual([
      "1 s",
      "1",
      "12.3 s",
      "31 s, by `x`",
      "2× pull: too slow",
      "1 acknowledged are lost",
    ]);
    expect(rowText({ ...good, refusedSeconds: 12.34 })).toContain(" · refused after: 12.3 s · ");
    const text = page({
      where: "4 nodes",
      rows: [good],
      changes: [],
      notRun: [{ step: { fault: "slow-disk", role: "holder" }, because: "there is no io.max" }],
      between,
      left: [{ fault: "drop", role: "etcd" }],
      leftChanges: ["a user's password"],
      acknowledged: { count: 7, bytes: 3 * 1024 ** 2 },
    });
    expect(text).toContain(
      "| power | the VIP's holder, MinIO node | 9, 2, 1 | 30, 2, 0 | 1.23 s | 0.09 s | 0.10 s | 1 s | 0 | - | 31 s | 2× pull: too slow | kept |",
    );
    expect(text).toContain(
      "| between faults | - | 9, 1, 0 | 30, 0, 0 | - | - | - | - | - | - | - | 1× push: too slow | kept |",
    );
    expect(text).toContain("Not run: slow-disk: the VIP's holder, because there is no io.max.");
    expect(text).toContain("7 pushes were acknowledged (3 MiB). Every bound was kept. Not in this run: 1 of");
    expect(text).toContain("Left out: drop (etcd).");
    expect(text).toContain("Left out: a user's password.");
  });
});
