import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parseDocument } from "yaml";
import { checkout } from "../../../lab/instance";
import { packLayer, writeArchive } from "../../../lab/archive";
import { causeOf, reasonsOf, unexpected } from "../../chaos/causes";
import { brokenChange, refusals, turnedAway, type ChangeRow } from "../../chaos/changeRow";
import { archiveIn, changes, chosenChanges, urnsOf } from "../../chaos/changes";
import { watchStoreKey } from "../../chaos/storeKey";
import type { Outcome } from "../../chaos/load";
import { pauseOf } from "../../chaos/pause";
import { changeCells } from "../../chaos/table";
import { otherProgram } from "../../chaos/variants";
import type { TestLab } from "../../support/testLab";
import { plainChange } from "./rows";

const devStack = fs.readFileSync(path.join(checkout(), "Pulumi.dev.yaml"), "utf8");

const good: ChangeRow = {
  ...plainChange,
  name: "nginx: a setting",
  pushes: { all: 9, before: 2, after: 1 },
  pulls: { all: 30, before: 2, after: 0 },
  probes: { all: 400, unanswered: 3 },
  gapMs: 800,
  manifestsMs: 1200,
  seconds: 81.4,
  reasons: ["2× pull: the connection ended with its front"],
};

describe("changes", () => {
  test("have names of their own, and are chosen by them", () => {
    expect(new Set(changes.map(({ name }) => name)).size).toBe(changes.length);
    expect(chosenChanges("")).toEqual(changes);
    expect(chosenChanges("change")).toEqual(changes);
    expect(chosenChanges("a user's password, other images").map(({ name }) => name)).toEqual([
      "the front's certificate renewed + a user's password",
      "nginx + registry + keepalived: other images",
    ]);
    for (const change of changes) expect(chosenChanges(change.name)).toEqual([change]);
    expect(chosenChanges("power")).toEqual([]);
  });

  test("find what is made anew by its name", () => {
    const urns = [
      "urn:pulumi:dev::moorage::a$b:B::ca-front-certificate",
      "urn:pulumi:dev::moorage::a:A::ca-front-key",
      "urn:pulumi:dev::moorage::a:A::registry-user-reader",
    ];
    const state = JSON.stringify({ deployment: { resources: urns.map((urn) => ({ urn })) } });
    const names = ["registry-user-reader", "ca-front-certificate", "front-key"];
    expect(urnsOf(state, names)).toEqual([urns[0], urns[2]]);
  });

  test("set something else each time, and can be done again", async () => {
    let config = parseDocument(devStack);
    const set = async (name: string, holder: string): Promise<void> => {
      const edit = await chosenChanges(name)[0]?.edit?.({} as TestLab, holder);
      edit?.(config);
      config = parseDocument(config.toString());
    };
    const settings = () =>
      ["edge.proxyTimeoutSeconds", "registry.logLevel", "edge.virtualRouterId"].map((key) => {
        const [subject, ...path] = key.split(".");
        return config.getIn(["config", `moorage:${subject}`, ...path]);
      });
    await set("other settings", "coreos1");
    expect(settings()).toEqual([600, "warn", 52]);
    await set("other settings", "coreos1");
    expect(settings()).toEqual([900, "info", 51]);

    const memory = (node: string) => config.getIn(["config", "moorage:nodes", node, "guest", "memory"]);
    await set("rebooted", "coreos3");
    await set("rebooted", "coreos2");
    await set("rebooted", "coreos2");
    expect(["coreos1", "coreos2", "coreos3"].map(memory)).toEqual([undefined, 2048, 3072]);

    const before = config.toString();
    await set("Docker restarted", "coreos1");
    expect(config.getIn(["config", "moorage:os", "proxies", "exclude", 0])).toBe("elsewhere.test");
    await set("Docker restarted", "coreos1");
    expect(config.toString()).toBe(before);
  });

  test("have bounds", () => {
    expect(brokenChange(good)).toEqual([]);
    const bad = {
      ...good,
      gapMs: 2100,
      lost: ["x"],
      pulls: { all: 9, before: 2, after: 2 },
      problems: ["y"],
    };
    expect(brokenChange(bad)).toEqual(["1 acknowledged are lost", "2 pulls failed", "a gap of 2.1 s", "y"]);
    // One that could not be made for a reason that is understood is counted, but where nothing may come of the change.
    expect(brokenChange({ ...good, pushesGoOn: true })).toEqual(["1 pushes failed"]);
    const again = { all: 9, before: 2, after: 0 };
    expect(brokenChange({ ...good, pushes: again, pushesGoOn: true })).toEqual([]);
    const large = { count: 2, bytes: 1, meanwhile: 0 };
    expect(brokenChange({ ...good, large })).toEqual(["no large layer begun meanwhile was acknowledged"]);
    expect(brokenChange({ ...good, large, pauseSeconds: 31 })).toEqual([]);
    expect(brokenChange({ ...good, large: { ...large, count: 0 } })).toEqual([
      "no new large layer was acknowledged",
    ]);
    expect(brokenChange({ ...good, manifestsMs: 2400 })).toEqual([
      "a manifest was asked for in vain for 2.4 s",
    ]);
    expect(brokenChange({ ...good, manifestsMs: 2400, pauseSeconds: 31 })).toEqual([]);
    expect(brokenChange({ ...good, looks: { seconds: 70, of: 85 } })).toEqual([
      "the VIP was looked for in 70 of 85 seconds only",
    ]);
    expect(changeCells(good)).toEqual([
      "nginx: a setting",
      "9, 2, 1",
      "30, 2, 0",
      "5 (30 MiB), 4",
      "400, 3",
      "0.80 s",
      "1.20 s",
      "0.09 s",
      "0, 0.0 s",
      "0",
      "81 s",
      "2× pull: the connection ended with its front",
      "kept",
    ]);
  });

  test("may refuse nobody", () => {
    const probe = { path: "/v2/", at: 1, firstByteMs: 1 };
    expect(
      refusals([
        { ...probe, status: 200 },
        { ...probe, status: 0 },
      ]),
    ).toEqual([]);
    expect(refusals([{ ...probe, status: 401 }])).toEqual(["1 requests were refused"]);
    const inside = [{ ...probe, status: 500 }];
    expect(refusals(inside)).toEqual(["1 requests were answered with 500"]);
    expect(refusals(inside, [{ cause: "inside", because: "x" }])).toEqual([]);
  });

  test("say why a push had to be tried again", () => {
    const outcome = { kind: "push", client: "c", start: 1, end: 2, ok: true, retries: 1 } as const;
    const outcomes: Outcome[] = [
      { ...outcome, error: 'Patch "https://…": write: connection reset by peer' },
      { ...outcome, error: 'Put "https://…": EOF' },
      { ...outcome, retries: 0 },
    ];
    expect(reasonsOf(outcomes)).toEqual(["2× push: the connection ended with its front"]);
    expect(causeOf("dial tcp 10.0.2.10:443: connect: connection refused")).toBe("noFront");
    expect(causeOf("received unexpected HTTP status: 503 Service Unavailable")).toBe("unavailable");
    expect(causeOf("received unexpected HTTP status: 500 Internal Server Error")).toBe("inside");
    expect(causeOf("requested access to the resource is denied")).toBe("refused");
    expect(
      causeOf('Patch "https://…": write tcp 10.0.2.21:1->10.0.2.10:443: use of closed network connection'),
    ).toBe("cut");
    expect(causeOf("dial tcp 10.0.2.10:443: connect: connection timed out")).toBe("slow");
    // A number in a name is no status.
    const named =
      'Put "https://10.0.2.10/v2/chaos/client2-again-403/manifests/t500": read: connection reset by peer';
    expect(causeOf(named)).toBe("cut");
    expect(causeOf("reading 10.0.2.10/chaos/client1-again-500:t500: the moon was full")).toBe("other");
  });

  test("have no push that failed for another reason than the row expects", () => {
    const push = { kind: "push", client: "c", start: 1, end: 2, ok: false, retries: 3 } as const;
    const outcomes: Outcome[] = [
      { ...push, error: "unexpected EOF" },
      { ...push, error: "the moon was full" },
      { ...push, error: "the moon was new", ok: true },
      { ...push, error: "the moon was half", kind: "pull" },
      { ...push, ok: true, retries: 0 },
    ];
    const cut = { cause: "cut", because: "the front stops" } as const;
    expect(unexpected(outcomes, [cut])).toEqual(["not expected: 1× push: failed, other: the moon was full"]);
    expect(unexpected(outcomes)).toEqual([
      "not expected: 1× push: failed, the connection ended with its front",
      "not expected: 1× push: failed, other: the moon was full",
    ]);
  });

  test("have nothing refused, and nothing that failed inside, at the first try either, unless the row says so", () => {
    const outcome = { kind: "pull", client: "c", start: 1, end: 2, ok: true, retries: 1 } as const;
    const outcomes: Outcome[] = [
      { ...outcome, error: "unauthorized: authentication required" },
      { ...outcome, error: "HTTP status: 500 Internal Server Error" },
      { ...outcome, kind: "push", ok: false, error: "denied: requested access to the resource is denied" },
      { ...outcome, error: "EOF" },
    ];
    expect(unexpected(outcomes)).toEqual([
      "not expected: 1× pull: refused",
      "not expected: 1× pull: something failed inside",
      "not expected: 1× push: failed, refused",
    ]);
    expect(unexpected(outcomes, [{ cause: "refused", because: "x" }])).toEqual([
      "not expected: 1× pull: something failed inside",
    ]);
  });

  test("expect no refusal, and a failure inside where all of MinIO starts anew alone", () => {
    const of = (cause: string) =>
      changes
        .filter(({ expects = [] }) => expects.some((one) => one.cause === cause))
        .map(({ name }) => name);
    expect(of("refused")).toEqual([]);
    expect(of("other")).toEqual([]);
    expect(of("inside")).toEqual(["MinIO: another program"]);
    expect(of("lostUpload")).toEqual(["nginx + registry + keepalived: other settings and secret of uploads"]);
    expect(of("cut")).toEqual(
      changes.filter(({ fronts, pauses }) => fronts || pauses).map(({ name }) => name),
    );
  });

  test("of nginx refuse no connection", () => {
    const probe = { path: "/v2/", at: 1, status: 0, firstByteMs: 1 };
    const push = { kind: "push", client: "c", start: 1, end: 2, ok: true, retries: 1 } as const;
    const reset = { ...probe, error: "read ECONNRESET" };
    expect(turnedAway([reset], [{ ...push, error: "unexpected EOF" }])).toEqual([]);
    const refused = { ...probe, error: "connect ECONNREFUSED 10.0.2.10:443" };
    expect(turnedAway([refused, reset], [{ ...push, error: "dial: connection refused" }])).toEqual([
      "2 connections were refused: no nginx where the VIP was",
    ]);
    const through = changes.filter(({ fronts }) => fronts).map(({ name }) => name);
    expect(through).toEqual(
      changes.map(({ name }) => name).filter((name) => /nginx|password|certificate|^nodes/.test(name)),
    );
  });

  test("let no push fail where MinIO goes on", () => {
    expect(changes.filter(({ pushesGoOn }) => pushesGoOn).map(({ name }) => name)).toEqual([
      "MinIO: another image of the same version",
    ]);
  });

  test("have looked at whether they go node by node, or end at the first that fails", () => {
    const seen = changes.flatMap(({ name, restarts }) =>
      restarts ? [`${restarts.programs.join("+")} on ${restarts.where}: ${name}`] : [],
    );
    expect(seen).toEqual([
      "nginx+registry+keepalived on every node: nginx + registry + keepalived: other images",
      "nginx+registry on every node: nginx + registry + keepalived: other settings and secret of uploads",
      "nginx+registry+keepalived on the first alone: registry + nginx + keepalived: images that do not start",
      "nginx on every node: the front's certificate renewed + a user's password",
      "minio on every node: MinIO: another image of the same version",
      "registry on every node: registries: another key for the store",
    ]);
  });

  test("of the registries' key for the store end with the former one, and have it looked at", () => {
    const [found] = chosenChanges("another key for the store");
    expect(found?.anew).toEqual(["store-registry-key"]);
    expect(found?.watch).toBe(watchStoreKey);
    const removed = "storage: user registry-1a2b3c4d is removed: no registry has its key any more";
    expect(removed).toMatch(found?.says?.meanwhile ?? /^$/);
    expect("storage: bucket registry and its user are there after 2 s").not.toMatch(
      found?.says?.meanwhile ?? /^/,
    );
  });

  test("that do not start name the service that goes back", () => {
    const [found] = chosenChanges("images that do not start");
    const said = [
      "service registry-coreos2: Swarm rolled the update back (x)",
      "service nginx: Swarm rolled the update back (x)",
      "coreos1: went back to what it had before: x",
    ];
    expect(found?.fails?.map(({ says }) => said.filter((line) => says.test(line)))).toEqual(
      said.map((line) => [line]),
    );
  });

  test("of a node say that all of it was done, of one node and in order", () => {
    const of = (name: string) => chosenChanges(name)[0]?.says?.meanwhile ?? /^$/;
    const rebooted = [
      "coreos2: this update switches it off, the node drained meanwhile; other: memory",
      "coreos2: drained, to be changed",
      "coreos2: switching off for changed settings",
      "coreos2: answers after 9 s",
      "coreos2: back in service after 31 s",
    ];
    const installed = [
      "coreos2: this update reinstalls the node, out of the Swarm meanwhile, and keeps its data disk; another",
      "coreos2: drained, to be changed",
      "coreos2: left the Swarm",
      "coreos2: installed and up after 40 s",
      "coreos2: serves again, 50 s after it joined anew",
    ];
    for (const [name, lines] of [
      ["rebooted", rebooted],
      ["installed anew", installed],
    ] as const) {
      const text = (all: readonly string[]): string => all.map((line) => `    ${line}`).join("\n");
      expect(text(lines)).toMatch(of(name));
      expect(text([...lines].reverse())).not.toMatch(of(name));
      for (const [index, line] of lines.entries()) {
        expect(text(lines.filter((one) => one !== line))).not.toMatch(of(name));
        expect(text(lines.with(index, line.replace("coreos2", "coreos3")))).not.toMatch(of(name));
      }
    }
  });

  test("may have a pause where they say so, and only a short one", () => {
    const pausing = { ...good, gapMs: 40_000, pulls: { all: 9, before: 5, after: 4 } };
    expect(brokenChange({ ...pausing, pauseSeconds: 31.4 })).toEqual([]);
    expect(changeCells({ ...pausing, pauseSeconds: 31.44 })).toContain("81 s, no push accepted for 31.4 s");
    expect(brokenChange({ ...pausing, pauseSeconds: 75 })).toEqual(["no push was accepted for 75 s"]);
    expect(brokenChange({ ...pausing, pauseSeconds: 0 })).toEqual([
      "no push was refused: the pause was not seen",
    ]);
    const of = (at: number, status: number) => ({ path: "/v2/", at, status, firstByteMs: 100 });
    const seen = [of(1000, 202), of(2000, 503), of(2500, 202), of(3000, 0), of(9000, 202), of(9500, 202)];
    expect(pauseOf(seen)).toBe(7.1);
    expect(pauseOf(seen.slice(0, 4))).toBe(Infinity);
    expect(pauseOf(seen.slice(0, 1))).toBe(0);
  });
});

describe("an image of another program", () => {
  let folder: string;
  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-test-"));
  });
  afterEach(() => fs.rmSync(folder, { recursive: true }));
  const into = (...names: string[]): string => path.join(folder, ...names);

  test("has its program in a further layer, longer by some bytes, and starts as before", async () => {
    fs.mkdirSync(into("layer", "usr", "bin"), { recursive: true });
    fs.writeFileSync(into("layer", "usr", "bin", "minio"), "program", { mode: 0o755 });
    const layer = await packLayer(into("layer"), into("layer.tar"));
    await writeArchive(into("minio.tar"), "minio:x", { Entrypoint: ["minio"] }, [layer]);
    await otherProgram(into("minio.tar"), into("other.tar"), "usr/bin/minio");

    fs.mkdirSync(into("out"));
    execFileSync("tar", ["-xf", into("other.tar"), "-C", into("out")]);
    const read = (name: string): unknown => JSON.parse(fs.readFileSync(into("out", name), "utf8"));
    const [manifest] = read("manifest.json") as { Config: string; RepoTags: string[]; Layers: string[] }[];
    expect(manifest?.RepoTags).toEqual(["minio:x"]);
    const image = read(manifest?.Config ?? "") as { config: unknown; rootfs: { diff_ids: string[] } };
    expect(image.config).toEqual({ Entrypoint: ["minio"] });
    const digests = (manifest?.Layers ?? []).map(
      (name) =>
        `sha256:${createHash("sha256")
          .update(fs.readFileSync(into("out", name)))
          .digest("hex")}`,
    );
    expect(digests).toHaveLength(2);
    expect(image.rootfs.diff_ids).toEqual(digests);
    const last = into("out", manifest?.Layers.at(-1) ?? "");
    expect(execFileSync("tar", ["-xOf", last, "./usr/bin/minio"], { encoding: "utf8" })).toMatch(
      /^program.+/,
    );
    expect(execFileSync("tar", ["-tvf", last], { encoding: "utf8" })).toMatch(
      /^drwxr-xr-x .* \.\/\n[^]*-rwxr-xr-x .*minio\n/,
    );
    await expect(otherProgram(into("minio.tar"), into("none.tar"), "usr/bin/mc")).rejects.toThrow(
      /has no usr\/bin\/mc/,
    );
  });

  test("is what the next change of the image begins with", () => {
    fs.writeFileSync(into("variant.tar"), "");
    const stack = (archive: string): string =>
      `config: { "moorage:images": { minio: { archive: ${archive} } } }`;
    expect(archiveIn(stack(into("variant.tar")), "minio", "/images")).toBe(into("variant.tar"));
    fs.writeFileSync(into("broken-minio.tar"), "");
    expect(archiveIn(stack(into("broken-minio.tar")), "minio", "/images")).toBe("/images/minio.tar");
    expect(archiveIn(stack(into("gone.tar")), "minio", "/images")).toBe("/images/minio.tar");
    expect(archiveIn(stack(".images/minio.tar"), "minio", "/images")).toBe("/images/minio.tar");
  });
});
