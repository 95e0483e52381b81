import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { filling, forkedIn, forking } from "../../support/hardening";

/** What is printed by a shell line that is run as it would be in a container. */
const printed = (line: string): string =>
  spawnSync("sh", ["-c", `${line} 2>&1`], { encoding: "utf8" }).stdout;

test("processes that are started are counted, where none is refused", () => {
  expect(forkedIn(printed(forking(12, 0.1)))).toEqual({ started: 12, refused: false });
});

test.each(["sh: 0: Cannot fork", "sh: can't fork: Resource temporarily unavailable"])(
  "they are counted up to the one that is: %s",
  (said) => {
    expect(forkedIn(`1\n2\n3\n${said}\n`)).toEqual({ started: 3, refused: true });
  },
);

test("where a container did not even start, none is, and none is refused", () => {
  expect(forkedIn("docker: Error response from daemon")).toEqual({ started: 0, refused: false });
});

test("what fills memory ends well where there is enough of it", () => {
  expect(printed(filling(8))).toBe("ended with 0\n");
});
