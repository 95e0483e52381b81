/** The file of finished rows, one JSON object a line: a run goes on with the rows that it does not have yet. */
import * as fs from "node:fs";
import type { FaultRow } from "../results";
import type { Covering } from "./plan";

export type Result = Pick<FaultRow, "figures" | "broken">;

/** What a row has besides the figures of its requests. All rows have the same figures, which are columns of a table. */
export interface About {
  readonly nodes?: readonly string[];
  readonly roles?: readonly string[];
  /** Until full strength; undefined if it took too long. */
  readonly seconds?: number;
  /** The command it took. */
  readonly command?: string;
}

export const rounded = (seconds: number): number => Math.round(seconds * 10) / 10;

export function resultOf(
  { nodes = [], roles = [], seconds, command = "" }: About,
  { figures, broken }: Result,
): Result {
  const strength = seconds === undefined ? "never" : rounded(seconds);
  const about = { "full strength s": strength, "repaired by": command };
  return { figures: { nodes: nodes.join(" "), roles: roles.join(" "), ...figures, ...about }, broken };
}

export class RowsFile {
  private readonly found: FaultRow[];

  /** Rows of another commit or seed stay in the file, and count for nothing. */
  constructor(
    private readonly file: string,
    private readonly commit: string,
    private readonly seed: string,
  ) {
    const text = fs.existsSync(file) ? fs.readFileSync(file, "utf8") : "";
    const all = text
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as FaultRow);
    this.found = all.filter((row) => row.commit === commit && row.seed === seed);
  }

  get rows(): readonly FaultRow[] {
    return this.found;
  }

  has(name: string): boolean {
    return this.found.some((row) => row.name === name);
  }

  /** Faults that were done, with the roles that they hurt. */
  get covering(): Covering[] {
    return this.found.map(({ name, figures: { roles = "" } }) => ({
      fault: name.split(": ")[0] ?? "",
      roles: String(roles).split(" "),
    }));
  }

  add(name: string, seconds: number, result: Result): FaultRow {
    const { commit, seed } = this;
    const date = new Date().toISOString();
    const row: FaultRow = { name, seed, commit, date, seconds: rounded(seconds), ...result };
    fs.appendFileSync(this.file, `${JSON.stringify(row)}\n`);
    this.found.push(row);
    return row;
  }
}

export function rowText({ name, seconds, figures, broken }: FaultRow): string {
  const texts = Object.entries(figures).flatMap(([key, value]) => (value === "" ? [] : [`${key}: ${value}`]));
  const verdict = broken.length > 0 ? `BROKEN: ${broken.join("; ")}` : "bounds kept";
  return `${name} (${Math.round(seconds)} s): ${texts.join(", ")}; ${verdict}`;
}
