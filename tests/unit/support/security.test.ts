import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { renderRegistryConfig } from "@moorage/render";
import { describe, expect, it } from "vitest";
import { checkout } from "../../../lab/instance";
import { checksIn, documentedChecks, verdicts, type SwarmFacts } from "../../support/dockerBench";

/** What docs/security.md says in numbers and verdicts, held to what makes them so. */

const read = (file: string): string => fs.readFileSync(path.join(checkout(), file), "utf8");
const prose = (file: string): string => read(file).replace(/\s+/g, " ");

/** A certificate of its own that lasts so many days. */
function authority(days: number): string {
  const args = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -subj /CN=swarm-ca -days ${days}`;
  return execFileSync("openssl", args.split(" "), { stdio: ["ignore", "pipe", "ignore"] }).toString();
}

/** A Swarm as Moorage makes it, in the lab, where the overlay is not encrypted. */
function swarm(): SwarmFacts {
  const Spec = {
    CAConfig: { NodeCertExpiry: 90 * 24 * 3600e9 },
    EncryptionConfig: { AutoLockManagers: false },
  };
  return {
    info: { LocalNodeState: "active", Managers: 3, Cluster: { Spec } },
    leaders: 1,
    bound: ["*:2377"],
    overlays: [{ Name: "services", Options: { "com.docker.network.driver.overlay.vxlanid_list": "4097" } }],
    published: ["host"],
    secrets: 12,
    replacing: "",
    authority: authority(20 * 365),
    dataPath: "",
    configured: { managers: 3, encrypted: false, autolock: false, dataPath: "" },
  };
}

describe("chapter 7 of docker-bench-security in docs/security.md", () => {
  const page = documentedChecks();
  const columns = Object.fromEntries(page.map(({ number, holds }) => [number, holds]));

  it("has a verdict for each of its ten checks, and a reason for each", () => {
    expect(page.map(({ number }) => number)).toEqual(Array.from({ length: 10 }, (_, at) => `7.${at + 1}`));
    for (const { number, what, holds, why } of page) {
      expect(["yes", "no", "optional"], number).toContain(holds);
      expect(what, number).not.toBe("");
      expect(why.length, `${number} says why`).toBeGreaterThan(5);
    }
  });

  it("is read as it stands: number, check, verdict and reason", () => {
    const text =
      "## Other\n\n| 7.1 no | no | x |\n\n## docker-bench-security, chapter 7\n\n| check | holds | why |\n| --- | --- | --- |\n| 7.10 a thing | no       |     |\n";
    expect(checksIn(text)).toEqual([{ number: "7.10", what: "a thing", holds: "no", why: "" }]);
  });

  it("says what a Swarm as Moorage makes it shows", () => {
    expect(verdicts(swarm())).toEqual(columns);
  });

  const changed = (change: (facts: SwarmFacts) => Partial<SwarmFacts>): SwarmFacts => {
    const facts = swarm();
    return { ...facts, ...change(facts) };
  };
  const configured =
    (more: Partial<SwarmFacts["configured"]>) =>
    ({ configured }: SwarmFacts): Partial<SwarmFacts> => ({ configured: { ...configured, ...more } });
  const spec =
    (change: Partial<SwarmFacts["info"]["Cluster"]["Spec"]>) =>
    ({ info }: SwarmFacts): Partial<SwarmFacts> => ({
      info: { ...info, Cluster: { Spec: { ...info.Cluster.Spec, ...change } } },
    });
  const cases: [what: string, number: string, change: (facts: SwarmFacts) => Partial<SwarmFacts>][] = [
    ["no Swarm", "7.1", ({ info }) => ({ info: { ...info, LocalNodeState: "inactive" } })],
    ["a manager more", "7.2", ({ info }) => ({ info: { ...info, Managers: 4 } })],
    ["a manager that is not configured", "7.2", ({ info }) => ({ info: { ...info, Managers: 5 } })],
    ["no leader", "7.2", () => ({ leaders: 0 })],
    ["a port on one address", "7.3", () => ({ bound: ["10.0.2.11:2377"] })],
    ["an overlay in clear where it is to be encrypted", "7.4", configured({ encrypted: true })],
    ["a port that is published by way of ingress", "7.4", () => ({ published: ["host", "ingress"] })],
    ["nothing that is published", "7.4", () => ({ published: [] })],
    ["no secrets", "7.5", () => ({ secrets: 0 })],
    ["managers that lock themselves unasked", "7.6", spec({ EncryptionConfig: { AutoLockManagers: true } })],
    ["managers that do not lock themselves though asked", "7.6", configured({ autolock: true })],
    ["a timer for the key", "7.7", () => ({ replacing: "ExecStart=docker swarm unlock-key --rotate" })],
    ["certificates for a year", "7.8", spec({ CAConfig: { NodeCertExpiry: 365 * 24 * 3600e9 } })],
    ["an authority for a year", "7.9", () => ({ authority: authority(365) })],
    ["a way for data that nobody configured", "7.10", () => ({ dataPath: "10.0.3.11" })],
  ];

  it.each(cases)("is another with %s", (_what, number, change) => {
    const found = verdicts(changed(change));
    const differing = Object.keys(columns).filter((one) => found[one] !== columns[one]);
    expect(differing).toEqual([number]);
  });
});

describe("limits of their own", () => {
  const command = (file: string): string =>
    read(file)
      .split("\n")
      .find((line) => line.includes("docker run --rm")) ?? "";
  const keepalived = command("tests/golden/files/keepalived.txt");
  const etcd = command("tests/golden/files/etcd.txt");

  it("are keepalived's of memory and processes, as docs/security.md has them", () => {
    expect(keepalived).toContain("--memory 128m --pids-limit 128");
    expect(prose("docs/security.md")).toContain(
      "keepalived has limits of its own besides, 128 MiB and 128 processes",
    );
  });

  it("are etcd's of processes alone, as docs/security.md and CHANGELOG.md have it", () => {
    expect(etcd).toContain("--pids-limit 1024");
    expect(etcd).not.toContain("--memory");
    expect(prose("docs/security.md")).toContain("etcd 1,024 processes; its memory is the slice's");
    expect(prose("CHANGELOG.md")).toContain("etcd one of its processes.");
  });
});

it("a layer in several requests ends at 10,000 parts of the registry's size, as docs/security.md says", () => {
  const made = renderRegistryConfig({
    bucket: "registry",
    endpoint: "http://s3-coreos1:9000",
    region: "us-east-1",
    accessKey: "a",
    secretKey: "b",
    httpSecret: "c",
  });
  const part = Number(/^ +chunksize: (\d+)$/m.exec(made)?.[1]);
  expect(prose("docs/security.md")).toContain(
    `ends at the 10,000 parts which the store takes, ${Math.floor((10_000 * part) / 2 ** 30)} GiB at most with the registry's parts of ${part / 2 ** 20} MiB`,
  );
});
