import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { configurationReference } from "../../../config/reference";
import { subjects as allSubjects } from "../../../config/stack";
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

/** Files with the name of a test in them. */
function quotedTests(text: string) {
  const found = [...text.matchAll(/`(tests\/[^`]+)`\s+"([^"]+)"/g)];
  return found.map(([, file = "", name = ""]) => ({ file, name: name.replace(/\s+/g, " ") }));
}

/** Every key that the schemas have, and what stands before a dot of one. */
const known = new Set(
  [...configurationReference().matchAll(/^\| `([^`]+)` \|/gm)].flatMap(([, key = ""]) => {
    const parts = key.replaceAll("[]", "").split(".");
    return parts.map((_part, at) => parts.slice(0, at + 1).join("."));
  }),
);

/**
 * Keys that a text names: whole ones, and after one of them, `with` or a colon, those below it; names are one's own where
 * the schemas have none there.
 */
function keysIn(text: string): string[] {
  const subjects = Object.keys(allSubjects).join("|");
  const key = new RegExp(`^((?:${subjects})(?:\\.[A-Za-z0-9]+)*)(?:: .*)?$`);
  const below = /`([^`]+)`(?:,? with|:) ((?:`\w+`(?:, | and |))+)/g;
  const whole = spans(text).flatMap((span) => key.exec(span)?.[1] ?? []);
  const inner = [...text.matchAll(below)].flatMap(([, over = "", list = ""]) => {
    const [each] = [`${over}.NAME`, over].filter((one) =>
      [...known].some((key) => key.startsWith(`${one}.`)),
    );
    return key.test(over) && each !== undefined ? spans(list).map((name) => `${each}.${name}`) : [];
  });
  return [...whole, ...inner];
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
    // Nothing stands there but files, and the names of tests that are in them.
    expect(found.map((cell) => cell.replace(/`[^`]+`( "[^"]+")?/g, "").replaceAll(", ", "")).join("")).toBe(
      "",
    );
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

  it("quotes tests by their names, and those that there are", () => {
    const quoted = quotedTests(page);
    expect(quoted.length).toBeGreaterThan(35);
    expect(quoted.filter(({ file, name }) => !read(file).includes(`"${name}"`))).toEqual([]);
  });

  it("names keys of the configuration, and those that there are", () => {
    const named = [...new Set(cells(page, "now").flatMap(keysIn))];
    expect(named.length).toBeGreaterThan(80);
    expect(named.filter((key) => !known.has(key))).toEqual([]);
  });

  it("has two dashes before every long option", () => {
    expect(singleDashed(page)).toEqual([]);
  });
});

it("an option of one letter has one dash, and one of several that has is found", () => {
  const text = "`ssh -p 2011 a@b`, `openssl passwd -6 -stdin`, `get '' --prefix`, `-full`, `get -keys-only`";
  expect(singleDashed(text)).toEqual(["-full", "get -keys-only"]);
});

it("a key is known by its subject, with those below it, and a test by its file", () => {
  const text =
    "`os.users.NAME.pass: true`, `nodes.NAME.nics`, with `dhcp` and `mtu`; `os-release`, `hypervisor.iso`: `url`, `nodes.NAME.labels`: `a`";
  expect(keysIn(text)).toEqual([
    ...["os.users.NAME.pass", "nodes.NAME.nics", "hypervisor.iso", "nodes.NAME.labels"],
    ...["nodes.NAME.nics.NAME.dhcp", "nodes.NAME.nics.NAME.mtu", "hypervisor.iso.url"],
  ]);
  expect(
    ["os.users.NAME.password", "nodes.NAME.nics.NAME.mtu", "hypervisor"].filter((key) => known.has(key)),
  ).toHaveLength(3);
  expect(known.has("os.users.NAME.pass")).toBe(false);
  expect(quotedTests('`tests/a.ts`, `tests/b.ts` "is\n so"')).toEqual([
    { file: "tests/b.ts", name: "is so" },
  ]);
});

it("a column is read by its name, in every table", () => {
  const first = "| a | test |\n| - | ---- |\n| 1 | `x` |\n| 2 |  |\n";
  const second = "| test | b |\n| - | - |\n| `y` | 3 |\n";
  expect(cells(`Words.\n\n${first}\n${second}`, "test")).toEqual(["`x`", "", "`y`"]);
});
