/** docs/security.md states numbers and verdicts: each is held to what the program renders, or read by tests of a lab. */
import * as fs from "node:fs";
import * as path from "node:path";
import { renderRegistryConfig } from "@moorage/render";
import { expect, it } from "vitest";
import { checkout } from "../../../lab/instance";
import { checksIn, documentedChecks } from "../../support/dockerBench";
import { documented } from "../../support/listeners";

const read = (file: string): string => fs.readFileSync(path.join(checkout(), file), "utf8");
const page = read("docs/security.md").replace(/\s+/g, " ");

it("has a verdict and a reason for each of the ten checks on Swarm", () => {
  const checks = documentedChecks();
  expect(checks.map(({ number }) => number)).toEqual(Array.from({ length: 10 }, (_, at) => `7.${at + 1}`));
  for (const { number, what, holds, why } of checks) {
    expect(["yes", "no", "optional"], number).toContain(holds);
    expect([what, why], number).not.toContain("");
  }
});

it("has its checks read from their own table alone", () => {
  const text =
    "## Other\n\n| 7.1 no | no | x |\n\n## docker-bench-security, chapter 7\n\n| check | holds | why |\n| --- | --- | --- |\n| 7.10 a thing | no       |     |\n";
  expect(checksIn(text)).toEqual([{ number: "7.10", what: "a thing", holds: "no", why: "" }]);
});

it("lists the ports of every node, and three more for managers", () => {
  expect(documented(true)).toEqual(expect.arrayContaining(["22/tcp", "2377/tcp", "4789/udp"]));
  const managersOnly = documented(true).filter((one) => !documented(false).includes(one));
  expect(managersOnly).toEqual(["2377/tcp", "2379/tcp", "2380/tcp"]);
});

it("states the limits that keepalived and etcd run with", () => {
  const command = (file: string): string =>
    read(`tests/golden/files/${file}`)
      .split("\n")
      .find((line) => line.includes("docker run --rm")) ?? "";
  expect(command("keepalived.txt")).toContain("--memory 128m --pids-limit 128");
  expect(page).toContain("keepalived has limits of its own besides, 128 MiB and 128 processes");
  expect(command("etcd.txt")).toContain("--pids-limit 1024");
  expect(command("etcd.txt")).not.toContain("--memory");
  expect(page).toContain("etcd 1,024 processes; its memory is the slice's");
});

it("states the largest layer: 10,000 parts of the registry's size", () => {
  const keys = { accessKey: "a", secretKey: "b", httpSecret: "c" };
  const store = { bucket: "registry", endpoint: "http://haproxy-coreos1:9000", region: "us-east-1" };
  const part = Number(/^ +chunksize: (\d+)$/m.exec(renderRegistryConfig({ ...store, ...keys }))?.[1]);
  const [gibibytes, mebibytes] = [Math.floor((10_000 * part) / 2 ** 30), part / 2 ** 20];
  expect(page).toContain(
    `ends at the 10,000 parts which the store takes, ${gibibytes} GiB at most with the registry's parts of ${mebibytes} MiB`,
  );
});
