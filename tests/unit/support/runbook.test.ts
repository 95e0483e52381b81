import * as fs from "node:fs";
import * as path from "node:path";
import { previousHashes } from "@moorage/hosts";
import { beforeEach, describe, expect, it } from "vitest";
import { registry } from "../../../config/services";
import { checkout } from "../../../lab/instance";
import { follow, pagesOf, runbook, type Command, type Page } from "../../support/runbook";
import type { TestLab } from "../../support/testLab";
import { spoken, testIn } from "../../support/testText";

/** What tests write for what an operator types. */
const spellings: Readonly<Record<string, RegExp>> = {
  // `make lab` takes a stale lock from the stack, and updates it.
  "pulumi up": /\.(mustUp|up)\((?!\[?"--refresh")|run\("make", \["lab"\]/,
  "pulumi up --refresh": /\.mustUp\("--refresh"\)/,
  "pulumi up --refresh --target '**:SwarmMember::*'":
    /members = "\*\*:SwarmMember::\*"[^]*\.up\(\["--refresh", "--target", members\]\)/,
  "sudo date -u -s @SECONDS": /"date", "-u", "-s", `@\$\{/,
  // It runs the command, but for a lock file that cannot be read.
  "pulumi cancel": /\breleaseStaleLock\(|run\("make", \["lab"\]/,
};

const read = (file: string): string => {
  const full = path.join(checkout(), file);
  return fs.existsSync(full) ? fs.readFileSync(full, "utf8") : "";
};

/** Whether a test runs a page's command: by reading it there, in its own words, or letter by letter. */
function runs(test: string, page: Page, { line }: Command): boolean {
  if (spoken(test).replaceAll("( ", "(").includes(`follow(lab, "${page.title}"`)) return true;
  const spelled = spellings[line];
  if (spelled) return spelled.test(test);
  const literal = line
    .replace(/^sudo /, "")
    .split(/\b[A-Z]{4,}\b/)
    .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(literal.join("(\\$\\{[^}]+\\}|[\\w.-]+)")).test(withoutVariables(test));
}

/** `${script}` in a line of shell, where the file says what that is. */
function withoutVariables(test: string): string {
  const constants = [...test.matchAll(/^const (\w+) = "([^"]*)";$/gm)];
  return constants.reduce((text, [, name, value = ""]) => text.replaceAll(`\${${name}}`, value), test);
}

const pages = runbook();

describe("docs/runbook.md", () => {
  it("has a page for each thing that can break", () => {
    expect(pages.length).toBeGreaterThan(20);
    expect(new Set(pages.map(({ title }) => title)).size).toBe(pages.length);
  });

  it.each(pages.map((page) => [page.title, page] as const))(
    "%s: what is seen, run and then so",
    (_title, page) => {
      expect(Object.keys(page.parts)).toEqual(["Seen", "Run", "Then", "Tried by"]);
      for (const text of Object.values(page.parts)) expect(text).not.toBe("");
      // Either there are commands, or it is said that there are none.
      expect(page.commands.length > 0).toBe(
        !/^nothing\b/.test(page.parts.Run ?? "") || /```/.test(page.parts.Run ?? ""),
      );
      // What mends is one command with the look before it, as `make chaos` runs it.
      expect(page.commands.map(({ line }) => line)).not.toContain("pulumi refresh");
    },
  );

  it.each(pages.map((page) => [page.title, page] as const))(
    "%s: is tried by a test that there is",
    (_title, page) => {
      expect(page.trials.length).toBeGreaterThan(0);
      for (const { file, name } of page.trials) {
        expect(file, "make runs it").toMatch(/^tests\/((lab|runbook|vm)\/[^/]+\.test|platforms\/[^/]+)\.ts$/);
        // It may be the beginning of a table's row.
        expect(spoken(read(file)), `${file} has no test "${name}"`).toContain(name);
      }
    },
  );

  it.each(pages.map((page) => [page.title, page] as const))(
    "%s: that test runs what the page says",
    (_title, page) => {
      const tests = page.trials.map(({ file, name }) => testIn(read(file), name));
      const untried = page.commands.filter((command) => !tests.some((test) => runs(test, page, command)));
      expect(untried.map(({ line }) => line)).toEqual([]);
    },
  );
});

it("a password that has to go is refused at once, by what its page configures before it is replaced", async () => {
  const lines = pages.find(({ title }) => title === "A user's password has to go")?.commands ?? [];
  const [, minutes] =
    /^pulumi config set --path 'moorage:registry\.previousPasswordMinutes' (\d+)$/.exec(
      lines[0]?.line ?? "",
    ) ?? [];
  expect(lines[1]?.line).toMatch(/^pulumi up --replace '\*\*::registry-user-/);
  const previous = async (config: object): Promise<object> => {
    const { previousPasswordMinutes } = registry.parse(config);
    const before = {
      hashes: { reader: "old" },
      minutes: 15,
      previous: { reader: "older" },
      until: { reader: 0 },
    };
    const inputs = { hashes: { reader: "new" }, minutes: previousPasswordMinutes };
    return (await previousHashes.update("", before, inputs)).previous;
  };
  expect(await previous({ previousPasswordMinutes: Number(minutes) })).toEqual({});
  // Which is not so by default.
  expect(await previous({})).toEqual({ reader: "old" });
});

it("a page's commands are its blocks' lines, with the node that they are for", () => {
  const [page] = pagesOf(
    '# Top\n\n## Broken\n\n**Seen:** x\n\n**Run:**\n\n```\nsudo mend SERVICE   # on NODE\npulumi up\n```\n\n**Tried by:** `tests/a.test.ts` "does\nit"\n',
  );
  expect(page).toEqual({
    title: "Broken",
    parts: {
      Seen: "x",
      Run: "```\nsudo mend SERVICE   # on NODE\npulumi up\n```",
      "Tried by": '`tests/a.test.ts` "does\nit"',
    },
    commands: [{ line: "sudo mend SERVICE", on: "NODE" }, { line: "pulumi up" }],
    trials: [{ file: "tests/a.test.ts", name: "does it" }],
  });
  if (!page) throw new Error("no page");
  const command = { line: "sudo mend SERVICE" };
  expect(runs('mustRoot("a", `mend ${name}`)', page, command)).toBe(true);
  expect(runs('const what = "mend x";\nmustRoot("a", `${what}`)', page, command)).toBe(true);
  expect(runs('mustRoot("a", "break it")', page, command)).toBe(false);
});

describe("a page that is followed", () => {
  let done: string[];
  /** A lab that notes what is run where. */
  const lab = {
    mustRoot: (node: string, line: string) => Promise.resolve(String(done.push(`${node}: ${line}`))),
    pulumi: (args: readonly string[]) => {
      done.push(`pulumi ${args.join(" ")}`);
      return Promise.resolve({ code: 0, output: "" });
    },
  } as unknown as TestLab;
  const title = "A data disk is slow";
  const on = { "a manager": "coreos1" };
  const names = { NODE: "coreos4" };

  beforeEach(() => {
    done = [];
  });

  it("is run line by line, with what is left to its reader before the line it comes before", async () => {
    const mend = () => Promise.resolve(done.push("it is mended"));
    await follow(lab, title, { on, names, before: { "pulumi up --refresh": mend } });
    expect(done).toEqual([
      "coreos1: docker service scale --detach minio-coreos4=0",
      "it is mended",
      expect.stringMatching(/^pulumi up (?=.*--refresh)(?=.*--yes)/),
    ]);
  });

  it("is run on each of several nodes, and on none where there is no such one", async () => {
    await follow(lab, title, { on: { "a manager": ["coreos2", "coreos3"] }, names });
    expect(done.slice(0, -1)).toEqual([
      "coreos2: docker service scale --detach minio-coreos4=0",
      "coreos3: docker service scale --detach minio-coreos4=0",
    ]);
    await follow(lab, title, { on: { "a manager": [] }, names });
    expect(done.slice(3)).toEqual([expect.stringMatching(/^pulumi up /)]);
  });

  it("is not begun where something is to be done before a line that it does not have", async () => {
    const before = { "pulumi up": () => Promise.resolve() };
    await expect(follow(lab, title, { on, names, before })).rejects.toThrow(
      `"${title}" does not say to run pulumi up`,
    );
    await expect(follow(lab, title, { names })).rejects.toThrow(/does not say which node "a manager" is/);
    expect(done).toEqual([]);
  });
});

it("a test is read with what it uses, and without the others of its file", () => {
  const source = [
    'const members = "a";',
    "",
    "async function mended(): Promise<void> {",
    "  await lab.up(members);",
    "}",
    "",
    'describe("broken", () => {',
    "  beforeAll(async () => {",
    '    await lab.mustUp("--refresh");',
    "  });",
    "",
    '  test("is mended", async () => {',
    "    await mended();",
    "  });",
    "",
    '  test("is only looked at", async () => {',
    "    await lab.plan();",
    "  });",
    "});",
    "",
    'test("is something else", () => lab.mustUp());',
  ].join("\n");
  const [page] = pagesOf("## Broken\n\n**Run:**\n\n```\npulumi up --refresh\npulumi up\n```\n");
  if (!page) throw new Error("no page");
  const untried = (name: string) =>
    page.commands.filter((one) => !runs(testIn(source, name), page, one)).map(({ line }) => line);
  expect(untried("is mended")).toEqual([]);
  expect(untried("is only looked at")).toEqual(["pulumi up"]);
  expect(untried("is something else")).toEqual(["pulumi up --refresh"]);
  expect(testIn(source, "is mended")).toContain('members = "a"');
  expect(testIn(source, "is not there")).toBe("");
});
