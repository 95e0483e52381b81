import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { project } from "../../support/stacks";

const read = (file: string): string => fs.readFileSync(path.join(project, file), "utf8");
const isFile = (file: string): boolean =>
  fs.statSync(path.join(project, file), { throwIfNoEntry: false })?.isFile() ?? false;

const page = read("docs/from-the-article.md");

/** What stands in backquotes. */
const spans = (text: string): string[] => [...text.matchAll(/`([^`]+)`/g)].map(([, span = ""]) => span);

/** The cells of the tables' columns of that name. */
function cells(text: string, column: string): string[] {
  const columns = (line: string): string[] => line.split("|").map((cell) => cell.trim());
  return text
    .split(/\n{2,}/)
    .filter((block) => block.startsWith("| "))
    .flatMap((block) => {
      const [head = "", , ...rows] = block.trim().split("\n");
      const at = columns(head).indexOf(column);
      return rows.map((row) => columns(row)[at] ?? `no column "${column}"`);
    });
}

/** Long options with one dash. OpenSSL's are spelled so. */
function singleDashed(text: string): string[] {
  return spans(text).filter((span) => !span.startsWith("openssl ") && /(^|\s)-[A-Za-z][\w-]+/.test(span));
}

describe("docs/from-the-article.md", () => {
  it.each(["where", "test"])('names files in the column "%s", and those that there are', (column) => {
    const found = cells(page, column);
    expect(found.length).toBeGreaterThan(50);
    const files = found.flatMap(spans);
    expect(files.length).toBeGreaterThan(50);
    expect(files.filter((file) => !isFile(file))).toEqual([]);
    // Nothing stands there but files.
    expect(found.map((cell) => cell.replace(/`[^`]+`/g, "").replaceAll(", ", "")).join("")).toBe("");
  });

  it("names no file elsewhere, and links to none, that is not there", () => {
    const entries = fs.readdirSync(project, { withFileTypes: true });
    const folders = entries.filter((one) => one.isDirectory()).map(({ name }) => name);
    const ours = new RegExp(`^((${folders.join("|")})/\\S+|Pulumi\\.\\w+\\.yaml)$`);
    const named = spans(page).filter((span) => ours.test(span));
    expect(named.length).toBeGreaterThan(100);
    const linked = [...page.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)].map(([, file = ""]) => `docs/${file}`);
    expect(linked).toContain("docs/configuration.md");
    expect([...named, ...linked].filter((file) => !isFile(file))).toEqual([]);
  });

  it("quotes no test that is not in its file", () => {
    const quoted = [...page.matchAll(/`(tests\/[^`]+)`\s+"([^"]+)"/g)];
    for (const [, file = "", name = ""] of quoted) {
      expect(read(file).replace(/\s+/g, " "), file).toContain(name.replace(/\s+/g, " "));
    }
  });

  it("has two dashes before every long option", () => {
    expect(singleDashed(page)).toEqual([]);
  });
});

it("an option of one letter has one dash, and one of several that has is found", () => {
  const text = "`ssh -p 2011 a@b`, `openssl passwd -6 -stdin`, `get '' --prefix`, `-full`, `get -keys-only`";
  expect(singleDashed(text)).toEqual(["-full", "get -keys-only"]);
});

it("a column is read by its name, in every table", () => {
  const first = "| a | test |\n| - | ---- |\n| 1 | `x` |\n| 2 |  |\n";
  const second = "| test | b |\n| - | - |\n| `y` | 3 |\n";
  expect(cells(`Words.\n\n${first}\n${second}`, "test")).toEqual(["`x`", "", "`y`"]);
});
