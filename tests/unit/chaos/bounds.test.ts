import { describe, expect, test } from "vitest";
import { brokenBetween, brokenBounds, type Between, type Row } from "../../chaos/bounds";
import type { Cause } from "../../chaos/causes";
import { nothing } from "../../chaos/kept";
import type { PushFailure } from "../../chaos/measure";
import type { Step } from "../../chaos/plan";
import { betweenCells, brokenRows, cellsOf, page, rowText, type Page } from "../../chaos/table";
import { plainChange, plainRow } from "./rows";

const good: Row = {
  ...plainRow,
  nodes: ["n2"],
  roles: ["holder", "minio"],
  pushes: { all: 9, before: 2, after: 1 },
  pulls: { all: 30, before: 2, after: 0 },
  gapMs: 1234,
  slowestAfterMs: 100,
  secondsOfTwo: 1,
  longestOfTwoMs: 1240,
  strengthSeconds: 31.4,
  reasons: ["2× pull: too slow"],
};

const between: Between = {
  before: "power: the VIP's holder",
  pushes: { all: 9, before: 1, after: 0 },
  pulls: { all: 30, before: 0, after: 0 },
  reasons: ["1× push: too slow"],
};

const dated = { ...good, commit: "0123456789ab" };

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
      "two holders of the VIP in 3 seconds on end",
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

  test("want a push to succeed while one node is hurt, a large one too, and none where pushes are refused", () => {
    expect(brokenBounds({ ...good, pushed: 0 })).toEqual(["no push begun while it lasted succeeded"]);
    const large = { count: 2, bytes: 40 * 1024 ** 2, meanwhile: 0 };
    expect(brokenBounds({ ...good, large })).toEqual([
      "no large layer begun while it lasted was acknowledged",
    ]);
    const step = { fault: "power", role: "minio", count: 2, refuses: "pushes" } as const;
    expect(brokenBounds({ ...good, step, pushed: 0, large })).toEqual([]);
    const none = { ...large, count: 0 };
    expect(brokenBounds({ ...good, step, large: none })).toEqual(["no new large layer was acknowledged"]);
  });

  const failing = (begun: PushFailure["begun"], ...those: Cause[]): PushFailure[] =>
    those.map((cause) => ({ begun, cause }));

  test("want all pushes to succeed while any one node is hurt, but for a number where that is said", () => {
    const failed = (step: Step, ...those: Cause[]): string[] =>
      brokenBounds({ ...good, step, failures: failing("while it lasted", ...those) });
    for (const fault of ["power", "freeze-host", "lose", "wipe"] as const)
      expect(failed({ fault, role: "leader" }, "cut"), fault).toEqual([
        "1 pushes begun while it lasted failed: the connection ended with its front",
      ]);
    for (const fault of ["kill", "freeze"] as const)
      for (const choice of ["minio", "registry", "s3", "nginx", "keepalived", "etcd"])
        expect(failed({ fault, choice, role: "minio" }, "inside")).toHaveLength(1);
    const few = [
      "drop",
      "drop-in",
      "drop-out",
      "cut-off",
      "slow-disk",
      "read-only-disk",
      "full-disk",
    ] as const;
    for (const fault of few) {
      expect(failed({ fault, role: "minio" }, "inside", "slow"), fault).toEqual([]);
      expect(failed({ fault, role: "minio" }, "inside", "slow", "slow")).toEqual([
        "3 pushes begun while it lasted failed, 2 may",
      ]);
      expect(failed({ fault, role: "minio" }, "noFront", "other")).toEqual([
        "2 pushes begun while it lasted failed: no front at the VIP, nobody knows why",
      ]);
    }
    expect(failed({ fault: "kill", choice: "docker", role: "leader" }, "cut", "inside")).toEqual([]);
  });

  test("let few pushes fail that were under way when the fault came or ended, and none be refused", () => {
    const failed = (...those: Cause[]): string[] =>
      brokenBounds({ ...good, failures: failing("around", ...those) });
    expect(failed("cut", "slow", "inside")).toEqual([]);
    expect(failed("cut", "cut", "cut", "cut")).toEqual(["4 pushes begun before or after that failed, 3 may"]);
    expect(failed("refused")).toEqual(["1 pushes begun before or after that failed: refused"]);
    const full = { ...good, step: { fault: "full-disk", role: "minio" } } as const;
    for (const [count, broken] of [
      [6, 0],
      [7, 1],
    ] as const)
      expect(
        brokenBounds({ ...full, failures: failing("around", ...Array<Cause>(count).fill("inside")) }),
      ).toHaveLength(broken);
    const step = { fault: "power", role: "minio", count: 2, refuses: "pushes" } as const;
    const two = (...those: Cause[]): string[] =>
      brokenBounds({ ...good, step, failures: failing("while it lasted", ...those) });
    expect(two(...Array<Cause>(20).fill("unavailable"))).toEqual([]);
    expect(two("lostUpload")).toEqual([]);
    expect(two("refused")).toEqual(["1 pushes of the row failed: refused"]);
  });

  test("let few pushes fail where several nodes were hurt, once one has succeeded again", () => {
    const step = { fault: "power", role: "minio", count: 2, refuses: "pushes" } as const;
    const failed = (...those: PushFailure[]): string[] => brokenBounds({ ...good, step, failures: those });
    const before = failing("around", ...Array<Cause>(20).fill("unavailable"));
    const again = (...those: Cause[]): PushFailure[] => failing("on return", ...those);
    expect(failed(...before, ...again("inside", "slow", "cut"))).toEqual([]);
    expect(failed(...before, ...again("inside", "slow", "cut", "inside"))).toEqual([
      "4 pushes begun once one had succeeded again failed, 3 may",
    ]);
    // Of one node they count with the others.
    expect(
      brokenBounds({ ...good, failures: [...failing("around", "cut", "cut"), ...again("cut", "cut")] }),
    ).toEqual(["4 pushes begun before or after that failed, 3 may"]);
  });

  test("want etcd to take writes while one of its members is hurt", () => {
    expect(brokenBounds({ ...good, etcd: { ok: 4, failed: 2 } })).toEqual([]);
    expect(brokenBounds({ ...good, etcd: { ok: 4, failed: 3 } })).toEqual(["etcd did not take 3 writes"]);
    expect(brokenBounds({ ...good, etcd: { ok: 0, failed: 1 } })).toEqual([
      "etcd took no write while it lasted",
    ]);
    const step = { fault: "power", role: "minio", count: 2, refuses: "pushes" } as const;
    expect(brokenBounds({ ...good, step, etcd: { ok: 0, failed: 9 } })).toEqual([]);
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
    const docker: Step = { fault: "kill", choice: "docker", role: "holder" };
    expect(row(docker, { ...stays, ...late })).toEqual(["a gap of 3.0 s", "the VIP did not leave"]);
    const leader = { ...docker, role: "leader" } as const;
    expect(row(leader, { ...stays, ...late, roles: ["leader"] })).toEqual([]);
    expect(row({ ...docker, fault: "freeze" }, { ...stays, ...late })).toEqual([]);
    expect(row({ fault: "drop-in", role: "holder" }, stays)).toEqual(["the VIP did not leave"]);
    expect(row({ fault: "drop-in", role: "holder" }, late)).toEqual([]);
    expect(row({ fault: "slow-disk", role: "holder" }, { ...stays, ...late })).toEqual([]);
  });

  test("are not kept by a row in which hardly anything was asked", () => {
    expect(brokenBounds({ ...good, pulls: { all: 5, before: 0, after: 0 } })).toEqual(["only 5 pulls"]);
    expect(brokenBounds({ ...good, probes: 119 })).toEqual(["the prober asked only 119 times in 60 s"]);
    expect(brokenBounds({ ...good, looks: { seconds: 53, of: 60 } })).toEqual([
      "the VIP was looked for in 53 of 60 seconds only",
    ]);
    expect(brokenBounds({ ...good, hurtProbes: 1 })).toEqual([
      "the prober asked for the hurt registry's manifest only 1 times",
    ]);
    const looks = { seconds: 54, of: 60 };
    const enough = { probes: 120, looks, hurtProbes: 2, pulls: { all: 6, before: 0, after: 0 } };
    expect(brokenBounds({ ...good, ...enough })).toEqual([]);
  });

  test("want what no page has a command for to mend itself", () => {
    const command = "`deep`";
    expect(brokenBounds({ ...good, command })).toEqual(["not by itself, but by `deep`"]);
    const step = { fault: "corrupt", choice: "minio", role: "minio", remedy: "heal" } as const;
    expect(brokenBounds({ ...good, step, command })).toEqual([]);
  });

  test("hold between faults, too", () => {
    expect(brokenBetween([between])).toEqual([]);
    const failed = {
      before: "change: x",
      pushes: { all: 9, before: 3, after: 2 },
      pulls: { all: 9, before: 1, after: 1 },
      reasons: ["2× push: too slow", "1× pull: too slow"],
    };
    const texts = ['2 pushes failed before "change: x"', '1 pulls failed before "change: x"'];
    expect(brokenBetween([between, failed])).toEqual(texts);
    const cells = betweenCells([between, failed]);
    expect(cells).toHaveLength(cellsOf(good).length);
    expect([...cells.slice(2, 4), ...cells.slice(-2)]).toEqual([
      "18, 4, 2",
      "39, 1, 1",
      "3× push: too slow; 1× pull: too slow",
      texts.join("; "),
    ]);
    expect(brokenRows({ ...nothing, rows: [dated], between: [between] })).toBe(0);
    const found = { ...nothing, rows: [{ ...dated, probes: 0 }], between: [between, failed] };
    expect(brokenRows(found)).toBe(2);
    // What is lost at the end is a row's worth.
    expect(brokenRows({ ...found, parts: [{ count: 1, bytes: 1, lostAtEnd: ["a", "b"] }] })).toBe(3);
  });

  test("are the last column of the table", () => {
    const mended = { ...good, step: { ...good.step, remedy: "up" }, lost: ["x"], command: "`x`" } as const;
    expect(cellsOf({ ...mended, refusedSeconds: 12.34 }).slice(-6)).toEqual([
      "1, 1.2 s",
      "1",
      "12.3 s",
      "31 s, by `x`",
      "2× pull: too slow",
      "1 acknowledged are lost",
    ]);
    expect(cellsOf({ ...good, etcd: { ok: 9, failed: 1 } })[5]).toBe("10, 1");
    expect(rowText({ ...good, refusedSeconds: 12.34 })).toContain(" · refused after: 12.3 s · ");
    const text = page(whole);
    expect(text).toContain(
      "| power | the VIP's holder, MinIO node | 9, 2, 1 | 30, 2, 0 | 3 (22 MiB), 1 | - | 1.23 s | 0.09 s | 0.10 s | 1, 1.2 s | 0 | - | 31 s | 2× pull: too slow | kept |",
    );
    expect(text).toContain(
      "| between faults | - | 9, 1, 0 | 30, 0, 0 | - | - | - | - | - | - | - | - | - | 1× push: too slow | kept |",
    );
  });
});

const whole: Page = {
  ...nothing,
  where: "4 nodes",
  rows: [dated],
  changes: [{ ...plainChange, name: "another image", commit: dated.commit }],
  notRun: [
    { step: { fault: "slow-disk", role: "holder" }, because: "there is no io.max", commit: dated.commit },
  ],
  notChanged: [{ name: "rebooted", because: "it is for platform x", commit: dated.commit }],
  between: [between],
  left: [{ fault: "drop", role: "etcd" }],
  leftChanges: ["a user's password"],
  parts: [{ count: 7, bytes: 3 * 1024 ** 2, lostAtEnd: [] }],
};

describe("the page", () => {
  test("says what was done, read back, and not done, and why", () => {
    const text = page(whole);
    expect(text).toContain("Not run: slow-disk: the VIP's holder, because there is no io.max.");
    expect(text).toContain("Not run: rebooted, because it is for platform x.");
    expect(text).toContain(
      "7 pushes were acknowledged (3 MiB). At the end 3 MiB were read back, every byte: 0 lost. Every bound was kept. Not in this run: 1 of",
    );
    expect(text).toContain("Of 0123456789ab.");
    expect(text).toContain("Left out: drop (etcd).");
    expect(text).toContain("Left out: a user's password.");
  });

  test("says how much was not read back as a whole, as its run has not come to its end", () => {
    const unread = { count: 8, bytes: 5 * 1024 ** 2 };
    const notRead = "5 MiB, of a run that has not come to its end, were not read back as a whole.";
    expect(page({ ...whole, parts: [unread] })).toContain(`8 pushes were acknowledged (5 MiB). ${notRead}`);
    expect(page({ ...whole, parts: [unread, ...whole.parts] })).toContain(
      `15 pushes were acknowledged (8 MiB). At the end 3 MiB were read back, every byte: 0 lost. ${notRead}`,
    );
  });

  test("says of which commit each row is, where they are of several", () => {
    const other = { ...plainChange, name: "another image", commit: "ba9876543210" };
    expect(page({ ...whole, changes: [other] })).toContain(
      "Of several commits. Of 0123456789ab: power: the VIP's holder. Of ba9876543210: change: another image.",
    );
  });

  test("says what pushes of a change may fail for, and while a fault lasts", () => {
    const expects = [{ cause: "cut", because: "the front stops" }] as const;
    const text = page({ ...whole, changes: [{ ...plainChange, name: "x", expects, commit: "1" }] });
    expect(text).toContain("- x: the connection ended with its front, as the front stops\n");
    expect(text).toMatch(/2 at most under `slow-disk`, `read-only-disk`, `corrupt`, `full-disk`, as a drive/);
    expect(text).toMatch(/2 at most under `drop`, `drop-in`, `drop-out`, `cut-off`, as what is under way/);
  });
});
