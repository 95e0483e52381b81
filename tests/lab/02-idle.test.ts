import { beforeAll, describe, expect, test } from "vitest";
import { run } from "../../lab/exec";
import { checkout } from "../../lab/instance";
import { pushAndPull } from "../../lab/journey/push";
import { secretsOf } from "../support/secrets";
import { expectUnchanged } from "../support/service";
import { ask, helloArchive, TestLab } from "../support/testLab";

let lab: TestLab;

beforeAll(async () => {
  lab = await TestLab.standing();
});

test("an image pushed on one client is pulled by the same digest on another", async () => {
  const access = await lab.access();
  expect(await pushAndPull(lab.instance, access, helloArchive(lab))).toMatch(/^sha256:[0-9a-f]{64}$/);
});

test("the registry answers on a loopback address of this machine, under the same certificate", async () => {
  const access = await lab.access();
  expect((await ask(lab, access, "/v2/")).status).toBe(401);
  const answer = await ask(lab, access, "/v2/_catalog", { user: access.username, password: access.password });
  expect(JSON.parse(answer.body)).toEqual({ repositories: ["demo/hello"] });
});

test("acceptance says what it found", async () => {
  const { report } = (await lab.outputs()) as { report: { name: string; status: string }[] };
  expect(report.length).toBeGreaterThan(4);
  expect(report.filter((check) => check.status !== "ok")).toEqual([]);
});

describe("nothing was changed", () => {
  test("so an update changes nothing", async () => {
    expectUnchanged(await lab.up());
  });

  test("so make lab says so, and goes on to a push and a pull", async () => {
    const env = { MOORAGE_LAB: String(lab.instance.number) };
    const { code, stdout, stderr } = await run("make", ["lab"], { env, cwd: checkout() });
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/Resources:\n\s+\d+ unchanged\n/);
    expect(stdout).toMatch(/Pushed +\S+@sha256:[0-9a-f]{64} from client1, pulled on client2/);
    expect(stdout).not.toMatch(/reset|booting|created|updated|replaced|deleted/);
  });

  test("so a refresh finds nothing", async () => {
    expectUnchanged(await lab.refresh());
  });

  test("so a preview plans nothing", async () => {
    expect(await lab.plan()).toEqual([]);
  });
});

describe("secrets", () => {
  test("none is in clear in the exported state, in a preview, or in a process list of a host", async () => {
    const all = await secretsOf(lab);
    expect(all.length).toBeGreaterThan(20);
    const { output } = await lab.pulumi(["preview", "--diff"]);
    const places: Record<string, string> = { state: await lab.state(), preview: output };
    for (const host of lab.nodes) {
      places[host.name] = await lab.mustRoot(
        host.name,
        "cat /proc/[0-9]*/cmdline | tr '\\0' ' '; journalctl -b --no-pager",
      );
    }
    for (const [place, text] of Object.entries(places)) {
      expect(
        all.filter((secret) => text.includes(secret)),
        place,
      ).toEqual([]);
    }
  });

  test("providers in the state hold less than 1 KB of code each", async () => {
    const state = JSON.parse(await lab.state()) as {
      deployment: { resources: { inputs?: { __provider?: string } }[] };
    };
    const sizes = state.deployment.resources
      .map(({ inputs }) => inputs?.__provider?.length ?? 0)
      .filter(Boolean);
    expect(sizes.length).toBeGreaterThan(30);
    expect(Math.max(...sizes)).toBeLessThan(1024);
  });
});
