import { beforeEach, describe, expect, it } from "vitest";
import { follow, pagesOf, runbook } from "../../support/runbook";
import type { TestLab } from "../../support/testLab";

const pages = runbook();

describe("docs/runbook.md", () => {
  it("has a page for each thing that can break", () => {
    expect(pages.length).toBeGreaterThan(20);
    expect(new Set(pages.map(({ title }) => title)).size).toBe(pages.length);
  });

  it.each(pages.map((page) => [page.title, page] as const))(
    "%s: says what is seen, what to run and what follows",
    (_title, { parts, commands }) => {
      expect(Object.keys(parts).slice(0, 3)).toEqual(["Seen", "Run", "Then"]);
      expect(Object.values(parts)).not.toContain("");
      // There are commands, or the page says that there are none.
      const { Run = "" } = parts;
      expect(commands.length > 0).toBe(!/^nothing\b/.test(Run) || /```/.test(Run));
      expect(commands.map(({ line }) => line)).not.toContain("pulumi refresh");
    },
  );

  it("is read page by page: each line of a block is a command, with its node", () => {
    const run = "```\nsudo mend SERVICE   # on NODE\npulumi up\n```";
    const text = `# Top\n\n## Broken\n\n**Seen:** x\n\n**Run:**\n\n${run}\n\n**Then:** y\n`;
    expect(pagesOf(text)).toMatchObject([
      {
        title: "Broken",
        parts: { Seen: "x", Run: run, Then: "y" },
        commands: [{ line: "sudo mend SERVICE", on: "NODE" }, { line: "pulumi up" }],
      },
    ]);
  });
});

describe("a test that follows a page", () => {
  let done: string[];
  /** A lab that records what runs where. */
  const lab = {
    mustRoot: (node: string, line: string) => Promise.resolve(String(done.push(`${node}: ${line}`))),
    pulumi: (args: readonly string[]) => {
      done.push(`pulumi ${args.join(" ")}`);
      return Promise.resolve({ code: 0, output: "" });
    },
  } as unknown as TestLab;
  const title = "A data disk is slow";
  const names = { NODE: "coreos4" };
  const update = expect.stringMatching(/^pulumi up (?=.*--refresh)(?=.*--yes)/) as string;

  beforeEach(() => void (done = []));

  it("runs each line on its nodes, after what the test does before that line", async () => {
    const before = { "pulumi up --refresh": () => Promise.resolve(done.push("a person acts")) };
    await follow(lab, title, { on: { "a manager": ["coreos2", "coreos3"] }, names, before });
    expect(done).toEqual([
      "coreos2: docker service scale --detach minio-coreos4=0",
      "coreos3: docker service scale --detach minio-coreos4=0",
      "a person acts",
      update,
    ]);
  });

  it("fails before it runs anything if the page lacks the line, or the test the node", async () => {
    const before = { "pulumi up": () => Promise.resolve() };
    await expect(follow(lab, title, { on: { "a manager": "coreos1" }, names, before })).rejects.toThrow(
      `"${title}" does not say to run pulumi up`,
    );
    await expect(follow(lab, title, { names })).rejects.toThrow(/does not say which node "a manager" is/);
    expect(done).toEqual([]);
  });
});
