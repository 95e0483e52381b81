import type { ChildProcess } from "node:child_process";
import { expect } from "vitest";
import type { Ran } from "./testLab";

/** The errors under `Diagnostics:` of what `pulumi` printed, indentation taken off. */
export function errorsOf(output: string): string[] {
  const diagnostics = /^Diagnostics:\n(.*?)(?=^\S|$(?![^]))/ms.exec(output)?.[1] ?? "";
  return [...diagnostics.matchAll(/^ {4}error: (.*(?:\n {4} *\S.*)*)/gm)]
    .map(([, text = ""]) => text.replace(/^ +/gm, ""))
    .filter((text) => text !== "update failed");
}

/** One resource of which an update says what it has done to it. */
export interface Done {
  readonly name: string;
  readonly what: "created" | "updated" | "replaced" | "deleted";
}

/** What `pulumi` says that it has done, line by line; a replacement has three of them. */
export function doneIn(output: string): Done[] {
  const lines = output.matchAll(/^ *[-+~]{1,2} +\S+ +(\S+) (created|updated|replaced|deleted)\b/gm);
  return [...lines].map(([, name = "", what]) => ({ name, what: what as Done["what"] }));
}

/** Names of the resources to which `pulumi` has done something. */
export const changedIn = (output: string): string[] =>
  [...new Set(doneIn(output).map(({ name }) => name))].sort();

/** Nothing was made, replaced or deleted. */
export function expectInPlace(output: string): void {
  const others = doneIn(output).filter(({ what }) => what !== "updated");
  const told = others.map(({ name, what }) => `${name} ${what}`).join(", ");
  expect(others, `${told}\n${output}`).toEqual([]);
}

/** A started `pulumi`, followed to its end. */
export interface Ending extends Promise<Ran> {
  /** Waits until its output shows `point`. */
  readonly saying: (point: RegExp) => Promise<void>;
}

export function ended(child: ChildProcess): Ending {
  let output = "";
  const add = (text: Buffer): void => void (output += text.toString());
  child.stdout?.on("data", add);
  child.stderr?.on("data", add);
  const end = new Promise<Ran>((resolve) =>
    child.once("close", (code) => resolve({ code: code ?? 1, output })),
  );
  let over = false;
  child.once("close", () => (over = true));
  const saying = (point: RegExp): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (point.test(output)) resolve();
        else if (over) reject(new Error(`pulumi ended before it said ${point}:\n${output}`));
      };
      child.stdout?.on("data", look);
      child.stderr?.on("data", look);
      child.once("close", look);
      look();
    });
  return Object.assign(end, { saying });
}
