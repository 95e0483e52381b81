import * as fs from "node:fs";
import * as path from "node:path";
import type { NodeFiles } from "@moorage/render";
import { expect } from "vitest";

const folder = path.join(__dirname, "files");

/** Compares the whole artifact with its file; `UPDATE_GOLDEN=1` writes the file. */
export function expectGolden(name: string, text: string): void {
  const file = path.join(folder, name);
  if (process.env.UPDATE_GOLDEN === "1") {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, text);
  }
  expect(fs.existsSync(file), `${name}: UPDATE_GOLDEN=1 npx vitest run tests/golden writes it`).toBe(true);
  expect(text).toBe(fs.readFileSync(file, "utf8"));
}

/** Compares a variant with its main case: its golden file holds the lines that differ, and no others. */
export function expectVariant(name: string, main: string, variant: string): void {
  expectGolden(name, difference(main, variant));
}

/** The lines by which a text differs from another one, each block below the last one before it. */
export function difference(from: string, to: string): string {
  const [before, after] = [from.split("\n"), to.split("\n")];
  const common = commonLengths(before, after);
  const out: string[] = [];
  let isInBlock = false;
  for (let [i, j] = [0, 0]; i < before.length || j < after.length;) {
    const isSame = i < before.length && before[i] === after[j];
    if (!isSame && !isInBlock) out.push(...(out.length > 0 ? [""] : []), `  ${lastText(before.slice(0, i))}`);
    isInBlock = !isSame;
    const [without = -1, wanting = -1] = [common[i + 1]?.[j], common[i]?.[j + 1]];
    if (isSame) [i, j] = [i + 1, j + 1];
    else if (without >= wanting) out.push(`- ${before[i++]}`);
    else out.push(`+ ${after[j++]}`);
  }
  return `${out.map((line) => line.trimEnd()).join("\n")}\n`;
}

const lastText = (lines: readonly string[]): string => lines.filter((line) => line.trim() !== "").at(-1) ?? "";

/** How many lines the two have in common from each place on. */
function commonLengths(before: readonly string[], after: readonly string[]): number[][] {
  const table = [...before, ""].map(() => [...after, ""].map(() => 0));
  for (let i = before.length - 1; i >= 0; i--) {
    const [row = [], next = []] = [table[i], table[i + 1]];
    for (let j = after.length - 1; j >= 0; j--) {
      const [both = 0, without = 0, wanting = 0] = [next[j + 1], next[j], row[j + 1]];
      row[j] = before[i] === after[j] ? both + 1 : Math.max(without, wanting);
    }
  }
  return table;
}

/** Ignition with its files decoded, each below what else is said of it: in the JSON a file is one line. */
export function readable(ignition: string): string {
  const { storage, ...rest } = JSON.parse(ignition) as { storage: { files: IgnitionFile[] } };
  const { files, ...links } = storage;
  const parts = files.map(({ contents: { source, ...more }, ...file }) => {
    expect(source.startsWith("data:,")).toBe(true);
    return `### ${JSON.stringify({ ...file, ...more })}\n${decodeURIComponent(source.slice("data:,".length))}`;
  });
  return [JSON.stringify({ ...rest, storage: links }, undefined, 2), ...parts].join("\n");
}

interface IgnitionFile {
  readonly path: string;
  readonly contents: { readonly source: string };
}

/** A node's files and units as one text: each with its mode and what a change takes. */
export function listing({ files, units }: NodeFiles): string {
  const parts = Object.entries(files).map(([path, file]) => {
    const head = `### ${path} ${file.mode.toString(8).padStart(4, "0")} ${file.owner ?? "root:root"}${file.shared ? ", its owner's too" : ""}`;
    return `${head}, then ${JSON.stringify(file.apply)}\n${file.content}`;
  });
  for (const [name, unit] of Object.entries(units)) {
    const state = unit.enabled === undefined ? "as it is" : unit.enabled ? "enabled" : "disabled";
    const apply = JSON.stringify(unit.apply ?? { action: "restart", unit: name });
    parts.push(`### unit ${name}, ${state}, then ${apply}\n${unit.content ?? ""}`);
    for (const [dropIn, text] of Object.entries(unit.dropIns ?? {})) {
      parts.push(`### unit ${name}, drop-in ${dropIn}\n${text}`);
    }
  }
  return parts.join("\n");
}
