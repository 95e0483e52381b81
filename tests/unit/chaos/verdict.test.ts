import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { commitOf, isOneCommit, mustBePublishable } from "../../chaos/commit";
import { nothing, type Found } from "../../chaos/kept";
import type { Step } from "../../chaos/plan";
import { failures, unpublished, verdictOf } from "../../chaos/verdict";
import { plainChange, plainRow } from "./rows";

const commit = "0123456789ab";
const power: Step = { fault: "power", role: "holder" };
const slow: Step = { fault: "slow-disk", role: "holder" };
const asked = { steps: [power, slow], changing: ["one", "two"], platform: false };

const change = (name: string) => ({ ...plainChange, name, commit });
const row = (step: Step) => ({ ...plainRow, step, roles: [step.role], commit });
const whole: Found = { ...nothing, rows: [row(power), row(slow)], changes: [change("one"), change("two")] };

describe("a run", () => {
  test("is a success where all that was asked for was done, and every bound kept", () => {
    expect(failures(whole, asked)).toEqual([]);
    const broken = { ...whole, rows: [{ ...row(power), lost: ["x"] }, row(slow)] };
    expect(failures(broken, asked)).toEqual(["1 rows with a bound that was not kept"]);
  });

  test("is a failure where something was not done, unless nobody asked for it", () => {
    const part = { ...whole, rows: [row(power)], changes: [change("one")] };
    expect(failures(part, asked)).toEqual(["2 that were not done"]);
    expect(failures(part, { ...asked, steps: [power], changing: ["one"] })).toEqual([]);
  });

  test("is a failure where something cannot be done here, but for what is of another platform than the one asked for", () => {
    const notRun = [{ step: slow, because: "x", commit }];
    expect(failures({ ...whole, rows: [row(power)], notRun }, asked)).toEqual(["1 that cannot be done here"]);
    const notChanged = [{ name: "two", because: "x", commit }];
    const without = { ...whole, changes: [change("one")], notChanged };
    expect(failures(without, asked)).toEqual(["1 that cannot be done here"]);
    expect(failures(without, { ...asked, platform: true })).toEqual([]);
  });

  test("becomes the page of the documentation where it is whole, and of one commit", () => {
    expect(unpublished(whole, asked)).toBeUndefined();
    expect(unpublished({ ...whole, changes: [] }, asked)).toBe("not all was done");
    const other = { ...whole, changes: [change("one"), { ...change("two"), commit: "ba9876543210" }] };
    expect(unpublished(other, asked)).toBe("its rows are of 0123456789ab, and of ba9876543210");
    const notRun = [{ step: slow, because: "x", commit }];
    expect(unpublished({ ...whole, rows: [row(power)], notRun }, asked)).toBeUndefined();
  });
});

describe("a run that is to be published", () => {
  const all = { steps: asked.steps, changing: asked.changing };
  const uncommitted = " and uncommitted changes";
  const dirty: Found = {
    ...whole,
    rows: whole.rows.map((one) => ({ ...one, commit: `${commit}${uncommitted}` })),
  };

  test("is a failure where it cannot be, though every bound was kept", () => {
    expect(verdictOf(whole, asked, all, false)).toEqual({ wrong: [] });
    const because = `its rows are of ${commit}${uncommitted}, and of ${commit}`;
    expect(verdictOf(dirty, asked, all, false)).toEqual({
      wrong: [`not published, as ${because}`],
      unpublished: because,
    });
    expect(verdictOf(dirty, asked, all, true)).toEqual({ wrong: [], unpublished: "not all was asked for" });
  });

  test("is not begun of code that is not committed, or not known", () => {
    expect(() => mustBePublishable(commit)).not.toThrow();
    expect(() => mustBePublishable(`${commit}${uncommitted}`)).toThrow(
      /^this is 0123456789ab and uncommitted changes, .* give --only or --out/,
    );
    expect(() => mustBePublishable("no known commit")).toThrow(/commit it/);
  });
});

describe("the state of the code", () => {
  let folder: string;
  const git = (...args: string[]) => execFileSync("git", ["-C", folder, ...args], { encoding: "utf8" });
  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-test-"));
    git("init", "--quiet");
    fs.mkdirSync(path.join(folder, "docs"));
    for (const name of ["code", "docs/reliability.md"]) fs.writeFileSync(path.join(folder, name), "one");
    git("add", ".");
    git("-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "--quiet", "--message", "x");
  });
  afterEach(() => fs.rmSync(folder, { recursive: true }));

  test("is its commit, also once a run has written its page", async () => {
    const head = git("rev-parse", "--short=12", "HEAD").trim();
    expect(await commitOf(folder)).toBe(head);
    fs.writeFileSync(path.join(folder, "docs", "reliability.md"), "two");
    expect(await commitOf(folder)).toBe(head);
    expect(isOneCommit([head])).toBe(true);
    expect(isOneCommit([head, "0123456789ab"])).toBe(false);
    expect(isOneCommit([])).toBe(false);
  });

  test("is no commit with changes, or without git", async () => {
    fs.writeFileSync(path.join(folder, "code"), "two");
    const changed = await commitOf(folder);
    expect(changed).toMatch(/^[0-9a-f]{12} and uncommitted changes$/);
    fs.rmSync(path.join(folder, ".git"), { recursive: true });
    const unknown = await commitOf(folder);
    expect([isOneCommit([changed]), isOneCommit([unknown])]).toEqual([false, false]);
  });
});
