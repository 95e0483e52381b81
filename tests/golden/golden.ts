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

/** Every golden file's text, by its name. */
export function goldenFiles(): Record<string, string> {
  const names = fs.readdirSync(folder);
  return Object.fromEntries(names.map((name) => [name, fs.readFileSync(path.join(folder, name), "utf8")]));
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
