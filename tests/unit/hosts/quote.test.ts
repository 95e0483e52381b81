import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { commandLine, quote } from "../../../hosts/src/ssh/quote";

const argument = fc.oneof(
  fc.string({ unit: "grapheme" }),
  fc.string({
    unit: fc.constantFrom("'", '"', "\\", "$", "`", "\n", " ", "!", "*", "~", "-", "=", "é", "\t", "&", ";"),
  }),
);
const arguments_ = fc.array(
  argument.filter((text) => !text.includes("\0")),
  { minLength: 1, maxLength: 6 },
);

describe("quoting", () => {
  it("hands every argument to a real shell as it is", () => {
    fc.assert(
      fc.property(arguments_, (args) => {
        const line = commandLine(["printf", "%s\\0", ...args]);
        const seen = execFileSync("sh", ["-c", line]).toString("utf8").split("\0").slice(0, -1);
        expect(seen).toEqual(args.map((text) => Buffer.from(text, "utf8").toString("utf8")));
      }),
      { numRuns: 150 },
    );
  });

  it("leaves plain words alone, and refuses what no command can be given", () => {
    expect(quote("/etc/moorage/swarm")).toBe("/etc/moorage/swarm");
    expect(quote("")).toBe("''");
    expect(() => quote("a\0b")).toThrow(/NUL/);
    expect(() => commandLine([])).toThrow(/empty/);
  });
});
