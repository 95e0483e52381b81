import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { keyProblems, refusalsOf } from "../../chaos/storeKey";

const gone =
  "mc: <ERROR> Unable to list folder. The Access Key Id you provided does not exist in our records.";
const good = {
  node: "coreos2",
  refused: "0",
  former: gone,
  now: "[2026-11-27 15:07:11 UTC]     0B docker/\n",
};

test("a key is replaced where no registry was refused, and the former user is gone", () => {
  expect(keyProblems([good, { ...good, node: "coreos3" }])).toEqual([]);
});

test("registries that were refused, a former user who gets in, and a new one who does not, are said by node", () => {
  const bad = { ...good, refused: "7", former: good.now.trim(), now: gone };
  expect(keyProblems([good, { ...bad, node: "coreos3" }])).toEqual([
    "the store refused 7 requests of coreos3's registry",
    `MinIO on coreos3 says to the former user: ${good.now.trim()}`,
    `MinIO on coreos3 says to the new user: ${gone}`,
  ]);
});

/** What the line prints on a host with these containers of a registry, of which `refused` writes of a refusal. */
const counted = (...containers: readonly string[]): string => {
  const logs = "test $4 != refused || echo 'InvalidAccessKeyId: … status code: 403' >&2";
  const docker = `docker() { case $1 in ps) echo ${containers.join(" ")} ;; logs) ${logs} ;; esac; }`;
  return spawnSync("sh", ["-c", `${docker}; ${refusalsOf("registry-a", 17)}`], { encoding: "utf8" }).stdout;
};

test("refusals are counted in the logs of all of a registry's containers, of which there is more than one", () => {
  expect(counted("one", "two")).toBe("0\n");
  expect(counted("one", "refused", "refused")).toBe("2\n");
  expect(counted("one")).toBe("");
  expect(counted()).toBe("");
});

test("a log that nobody could read proves nothing", () => {
  expect(keyProblems([{ ...good, refused: "" }])).toEqual([
    "the store refused nobody knows how many requests of coreos2's registry",
  ]);
});
