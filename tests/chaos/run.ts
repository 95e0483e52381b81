/** A run of `make chaos`: its changes, then its faults, each of them on disk before the next one is begun. */
import * as fs from "node:fs";
import * as os from "node:os";
import { format, resolveConfig } from "prettier";
import { LabError } from "../../lab/exec";
import { NotHere } from "../../lab/faults/cgroups";
import { platformOf } from "../../lab/lab";
import type { TestLab } from "../support/testLab";
import type { Row } from "./bounds";
import type { ChangeRow } from "./changeRow";
import { changes, type Change } from "./changes";
import { changeRounds } from "./changing";
import { expected, secondsFor, secondsForChanges, type Took } from "./estimate";
import {
  betweenRows,
  changeName,
  joined,
  keep,
  type Begun,
  type Dated,
  type Found,
  type NotChanged,
  type NotRun,
} from "./kept";
import { bytesOnDrive, noLarge } from "./large";
import { inNone, type Span } from "./measure";
import { isCovered, nameOf, type Step } from "./plan";
import { restore, shortly } from "./recover";
import { round } from "./round";
import type { Stage } from "./stage";
import { changeText, page, rowText } from "./table";
import { unchanged, undone } from "./verdict";

/** What is to be done, of all that there is. */
export interface Todo {
  readonly plan: readonly Step[];
  readonly steps: readonly Step[];
  readonly changing: readonly Change[];
}

/** The page, and beside it the rows. */
export interface Files {
  readonly page: string;
  readonly rows: string;
  /** The page that it becomes, whose style it has. */
  readonly style: string;
}

const nobody = { all: 0, before: 0, after: 0 };
const unseen = { seconds: 0, of: 0 };
/** What the load itself adds to a drive, and what MinIO wants to be left. */
const ROOM_BESIDE = 1024 ** 3;

/** The row of a step that came to nothing. */
const failedRow = (step: Step, span: Span, error: unknown): Row => ({
  step,
  nodes: [],
  roles: [step.role],
  span,
  pushes: nobody,
  pulls: nobody,
  pushed: 0,
  failures: [],
  large: noLarge,
  failedOnReturn: 0,
  probes: 0,
  hurtProbes: 0,
  looks: unseen,
  elsewhere: false,
  gapMs: Infinity,
  slowestMs: Infinity,
  slowestAfterMs: Infinity,
  secondsOfTwo: 0,
  longestOfTwoMs: 0,
  lost: [],
  strengthSeconds: undefined,
  reasons: [],
  problems: [shortly(error)],
});

const failedChange = (name: string, span: Span, error: unknown): ChangeRow => ({
  name,
  span,
  pushes: nobody,
  pulls: nobody,
  probes: { all: 0, unanswered: 0 },
  gapMs: Infinity,
  manifestsMs: Infinity,
  slowestMs: Infinity,
  secondsOfTwo: 0,
  longestOfTwoMs: 0,
  looks: unseen,
  large: noLarge,
  lost: [],
  seconds: (span.to - span.from) / 1000,
  reasons: [],
  problems: [shortly(error)],
});

export class Run {
  private readonly rows: (Row & Dated)[] = [];
  private readonly changed: (ChangeRow & Dated)[] = [];
  private readonly notRun: NotRun[] = [];
  private readonly notChanged: NotChanged[] = [];
  private lostAtEnd?: readonly string[];
  /** When something was changed, hurt or mended. */
  private readonly spans: Span[] = [];
  private readonly begun: Begun[] = [];
  private readonly took: Took[] = [];
  private readonly changesTook: number[] = [];

  /**
   * @param before what a former run has found that this one goes on with
   * @param commit the state of the code that this run is of
   */
  constructor(
    private readonly stage: Stage,
    private readonly lab: TestLab,
    private readonly todo: Todo,
    private readonly files: Files,
    private readonly before: Found,
    private readonly commit: string,
  ) {}

  /** All that was found, by a former run too. */
  get found(): Found {
    const { ledger, load } = this.stage;
    return joined(this.before, {
      rows: this.rows,
      changes: this.changed,
      notRun: this.notRun,
      notChanged: this.notChanged,
      between: betweenRows(inNone(load.outcomes, this.spans), this.begun),
      parts: [{ count: ledger.entries.length, bytes: ledger.bytes, lostAtEnd: this.lostAtEnd }],
    });
  }

  async go(): Promise<void> {
    const platform = platformOf(this.lab.instance);
    const changing = this.todo.changing.filter((one) => (one.platform ?? platform) === platform);
    for (const { name, platform: wanted } of this.todo.changing.filter((one) => !changing.includes(one)))
      this.cannotChange(name, `it is for platform ${wanted}, and this lab is ${platform}`);
    const steps = this.todo.steps.filter((step) => !isCovered(step, this.found.rows));
    await this.hasRoom(changing.length + expected(steps, this.found.rows).length);
    // First, on a lab that nothing has hurt yet.
    let left: readonly Change[] = changing;
    while (left.length > 0) left = await this.change(left);
    for (const [index, step] of this.todo.steps.entries()) {
      if (isCovered(step, this.found.rows)) continue;
      await this.hurt(step);
      await this.afterRow(0, this.todo.steps.slice(index + 1));
    }
    await this.readAll();
  }

  /** @throws LabError where so many rows would fill a data disk, which is a fault of its own */
  private async hasRoom(rows: number): Promise<void> {
    const [wanted, left] = [bytesOnDrive(rows) + ROOM_BESIDE, await this.stage.room()];
    const mebibytes = (bytes: number): number => Math.round(bytes / 1024 ** 2);
    if (left < wanted)
      throw new LabError(
        `${rows} rows take ${mebibytes(wanted)} MiB of each data disk, and ${mebibytes(left)} are left on one: use a new lab`,
      );
  }

  /** Every byte that this run has had acknowledged. */
  private async readAll(): Promise<void> {
    await this.stage.load.stop();
    const { bytes } = this.stage.ledger;
    this.stage.say(`all is read back: ${Math.round(bytes / 1024 ** 2)} MiB`);
    this.lostAtEnd = await this.stage.readBack("at the end");
    this.stage.say(`  ${this.lostAtEnd.length} lost`);
    await this.write();
  }

  /** Does changes, up to one that fails; gives back what is left of them then. */
  private async change(changing: readonly Change[]): Promise<readonly Change[]> {
    const rows = changeRounds(this.stage, this.lab, changing);
    for (const [index, { name }] of changing.entries()) {
      const from = Date.now();
      const next = await rows
        .next()
        .catch((error: unknown) => failedChange(name, { from, to: Date.now() }, error));
      const failed = "name" in next;
      const row = failed ? next : next.value;
      if (!row) throw new LabError(`there is no row of "${name}"`);
      await this.changeDone(row, from);
      await this.afterRow(changing.length - index - 1, this.todo.steps);
      // What made the rows has ended with it.
      if (failed) return changing.slice(index + 1);
    }
    return [];
  }

  private async changeDone(row: ChangeRow, from: number): Promise<void> {
    const name = changeName(row);
    this.changed.push({ ...row, commit: this.commit });
    // What comes after it, until all was read back, has to succeed.
    this.spans.push(row.span);
    this.begun.push({ name, from: row.span.from });
    this.changesTook.push((Date.now() - from) / 1000);
    this.stage.say(`  ${changeText(row)}`);
    // One that was not measured, or after which something is missing.
    if (row.probes.all === 0 || row.problems.some((one) => one.startsWith("missing: ")))
      await this.restored(row.span.from, name);
  }

  private async hurt(step: Step): Promise<void> {
    const from = Date.now();
    let row: Row;
    try {
      row = await round(this.stage, step);
    } catch (error) {
      if (error instanceof NotHere) return this.cannot(step, error.message);
      row = failedRow(step, { from, to: Date.now() }, error);
    }
    this.rows.push({ ...row, commit: this.commit });
    this.spans.push(row.span);
    this.begun.push({ name: nameOf(step), from: row.span.from });
    this.took.push({ step, seconds: (Date.now() - from) / 1000 });
    this.stage.say(`  ${rowText(row)}`);
    if (row.strengthSeconds === undefined) await this.restored(row.span.to, nameOf(step));
  }

  private cannot(step: Step, because: string): void {
    this.notRun.push({ step, because, commit: this.commit });
    this.stage.say(`  ${nameOf(step)}: not run, because ${because}`);
  }

  private cannotChange(name: string, because: string): void {
    this.notChanged.push({ name, because, commit: this.commit });
    this.stage.say(`${changeName({ name })}: not run, because ${because}`);
  }

  /**
   * What fails until all is whole is not between faults.
   * @throws LabError where what comes next would find a stack that is broken already
   */
  private async restored(from: number, name: string): Promise<void> {
    const whole = await restore(this.stage);
    this.spans.push({ from, to: whole ? Date.now() : Infinity });
    if (whole) return;
    throw new LabError(`the stack is not whole after "${name}": go on with --from what comes after it`);
  }

  private async afterRow(changesLeft: number, stepsLeft: readonly Step[]): Promise<void> {
    await this.write();
    const steps = expected(stepsLeft, this.found.rows);
    const seconds = secondsFor(steps, this.took) + secondsForChanges(changesLeft, this.changesTook);
    if (changesLeft + steps.length > 0)
      this.stage.say(`  about ${Math.ceil(seconds / 60)} min left, for ${changesLeft + steps.length} rows`);
  }

  async write(): Promise<void> {
    const { found, files } = this;
    keep(files.rows, found);
    const where = `${this.lab.nodes.length} nodes on ${os.cpus().length} cores, ${new Date().toISOString().slice(0, 10)}`;
    const left = undone(this.todo.plan, found);
    const leftChanges = unchanged(
      changes.map(({ name }) => name),
      found,
    );
    const text = page({ where, ...found, left, leftChanges });
    const style = await resolveConfig(files.style);
    fs.writeFileSync(files.page, await format(text, { ...style, parser: "markdown" }));
  }
}
