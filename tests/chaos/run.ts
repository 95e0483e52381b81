/** A run of `make chaos`: its changes, then its faults, each of them on disk before the next one is begun. */
import * as fs from "node:fs";
import * as os from "node:os";
import { format, resolveConfig } from "prettier";
import { LabError } from "../../lab/exec";
import { NotHere } from "../../lab/faults/cgroups";
import { platformOf } from "../../lab/lab";
import type { TestLab } from "../support/testLab";
import type { Row } from "./bounds";
import { reasonsOf, type ChangeRow } from "./changeRow";
import { changes, type Change } from "./changes";
import { changeRounds } from "./changing";
import { expected, secondsFor, secondsForChanges, type Took } from "./estimate";
import { joined, keep, type Found, type NotRun } from "./kept";
import { countsOf, inNone, type Span } from "./measure";
import { isCovered, nameOf, type Step } from "./plan";
import { restore, shortly } from "./recover";
import { round } from "./round";
import type { Stage } from "./stage";
import { changeText, page, rowText } from "./table";

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

const always: Span = { from: 0, to: Infinity };
const nobody = { all: 0, before: 0, after: 0 };

/** The row of a step that came to nothing. */
const failedRow = (step: Step, span: Span, error: unknown): Row => ({
  step,
  nodes: [],
  roles: [step.role],
  span,
  pushes: nobody,
  pulls: nobody,
  pushed: 0,
  notPushed: 0,
  failedOnReturn: 0,
  probes: 0,
  looks: 0,
  elsewhere: false,
  gapMs: Infinity,
  slowestMs: Infinity,
  slowestAfterMs: Infinity,
  secondsOfTwo: 0,
  lost: [],
  strengthSeconds: undefined,
  reasons: [],
  problems: [shortly(error)],
});

const failedChange = (name: string, seconds: number, error: unknown): ChangeRow => ({
  name,
  pushes: nobody,
  pulls: nobody,
  probes: { all: 0, unanswered: 0 },
  gapMs: Infinity,
  slowestMs: Infinity,
  secondsOfTwo: 0,
  lost: [],
  seconds,
  reasons: [],
  problems: [shortly(error)],
});

export class Run {
  private readonly rows: Row[] = [];
  private readonly changed: ChangeRow[] = [];
  private readonly notRun: NotRun[] = [];
  /** When something was changed, hurt or mended. */
  private readonly spans: Span[] = [];
  private readonly took: Took[] = [];
  private readonly changesTook: number[] = [];

  /** @param before what a former run has found that this one goes on with */
  constructor(
    private readonly stage: Stage,
    private readonly lab: TestLab,
    private readonly todo: Todo,
    private readonly files: Files,
    private readonly before: Found,
  ) {}

  /** All that was found, by a former run too. */
  get found(): Found {
    const { ledger, load } = this.stage;
    const outcomes = inNone(load.outcomes, this.spans);
    return joined(this.before, {
      rows: this.rows,
      changes: this.changed,
      notRun: this.notRun,
      between: {
        pushes: countsOf(outcomes, "push", always),
        pulls: countsOf(outcomes, "pull", always),
        reasons: reasonsOf(outcomes),
      },
      acknowledged: { count: ledger.entries.length, bytes: ledger.bytes },
    });
  }

  /** What of the plan neither this run nor the one before has done, or found out that it cannot. */
  get left(): Step[] {
    const { rows, notRun } = this.found;
    return this.todo.plan.filter(
      (step) => !isCovered(step, rows) && !notRun.some((one) => nameOf(one.step) === nameOf(step)),
    );
  }

  async go(): Promise<void> {
    const platform = platformOf(this.lab.instance);
    const changing = this.todo.changing.filter((one) => (one.platform ?? platform) === platform);
    // First, on a lab that nothing has hurt yet.
    let left: readonly Change[] = changing;
    while (left.length > 0) left = await this.change(left);
    for (const [index, step] of this.todo.steps.entries()) {
      if (isCovered(step, this.found.rows)) continue;
      await this.hurt(step);
      await this.afterRow(0, this.todo.steps.slice(index + 1));
    }
  }

  /** Does changes, up to one that fails; gives back what is left of them then. */
  private async change(changing: readonly Change[]): Promise<readonly Change[]> {
    const rows = changeRounds(this.stage, this.lab, changing);
    for (const [index, { name }] of changing.entries()) {
      const from = Date.now();
      const seconds = (): number => (Date.now() - from) / 1000;
      const next = await rows.next().catch((error: unknown) => failedChange(name, seconds(), error));
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
    this.changed.push(row);
    this.changesTook.push((Date.now() - from) / 1000);
    this.stage.say(`  ${changeText(row)}`);
    // One that was not measured, or after which something is missing.
    if (row.probes.all === 0 || row.problems.some((one) => one.startsWith("missing: ")))
      await this.restored(from, `change: ${row.name}`);
    else this.spans.push({ from, to: Date.now() });
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
    this.rows.push(row);
    this.spans.push(row.span);
    this.took.push({ step, seconds: (Date.now() - from) / 1000 });
    this.stage.say(`  ${rowText(row)}`);
    if (row.strengthSeconds === undefined) await this.restored(row.span.to, nameOf(step));
  }

  private cannot(step: Step, because: string): void {
    this.notRun.push({ step, because });
    this.stage.say(`  ${nameOf(step)}: not run, because ${because}`);
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
    const { found, left, files } = this;
    keep(files.rows, found);
    const where = `${this.lab.nodes.length} nodes on ${os.cpus().length} cores, ${new Date().toISOString().slice(0, 10)}`;
    const leftChanges = changes
      .map(({ name }) => name)
      .filter((name) => !found.changes.some((row) => row.name === name));
    const text = page({ where, ...found, left, leftChanges });
    const style = await resolveConfig(files.style);
    fs.writeFileSync(files.page, await format(text, { ...style, parser: "markdown" }));
  }
}
