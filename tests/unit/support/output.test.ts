import { expect, test } from "vitest";
import { changedIn, doneIn, expectInPlace } from "../../support/output";

const updated = " ~  pulumi-nodejs:dynamic/moorage:SwarmMember swarm-coreos4 updated (0.63s) [diff: ~labels]";
const replaced = [
  " ++ docker:index:ServiceConfig nginx-config creating replacement (0s) [diff: ~data]",
  " ++ docker:index:ServiceConfig nginx-config created replacement (0.20s) [diff: ~data]",
  " +- docker:index:ServiceConfig nginx-config replacing (0s) [diff: ~data]",
  " +- docker:index:ServiceConfig nginx-config replaced (0.00s) [diff: ~data]",
  " -- docker:index:ServiceConfig nginx-config deleted original (0.10s)",
];
const rest = [
  " ~  docker:index:Service nginx updating (0s) [diff: ~taskSpec]",
  "    pulumi:pulumi:Stack moorage-dev running coreos1: drained, and will be updated",
  "Resources:",
  "    + 1 created",
  "    ~ 6 updated",
  "    185 unchanged",
];

test("what an update has done is told by resource, and not what it was about to do", () => {
  const output = [updated, ...replaced, ...rest].join("\n");
  expect(doneIn(output)).toEqual([
    { name: "swarm-coreos4", what: "updated" },
    { name: "nginx-config", what: "created" },
    { name: "nginx-config", what: "replaced" },
    { name: "nginx-config", what: "deleted" },
  ]);
  expect(changedIn(output)).toEqual(["nginx-config", "swarm-coreos4"]);
});

test("a replacement is no change in place", () => {
  expect(() => expectInPlace([updated, ...rest].join("\n"))).not.toThrow();
  expect(() => expectInPlace([updated, ...replaced].join("\n"))).toThrow(
    /nginx-config created, nginx-config replaced, nginx-config deleted\n/,
  );
});
