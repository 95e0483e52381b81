import { describe, expect, test } from "vitest";
import {
  brokenChange,
  causeOf,
  reasonsOf,
  refusals,
  turnedAway,
  unexplained,
  type ChangeRow,
} from "../../chaos/changeRow";
import { changes, chosenChanges, urnsOf } from "../../chaos/changes";
import type { Outcome } from "../../chaos/load";
import { changeCells } from "../../chaos/table";

const good: ChangeRow = {
  name: "nginx: a setting",
  pushes: { all: 9, before: 2, after: 1 },
  pulls: { all: 30, before: 2, after: 0 },
  probes: { all: 400, unanswered: 3 },
  gapMs: 800,
  slowestMs: 90,
  secondsOfTwo: 0,
  lost: [],
  seconds: 81.4,
  reasons: ["2× pull: the connection ended with its front"],
  problems: [],
};

describe("changes", () => {
  test("have names of their own, and are chosen by them", () => {
    expect(new Set(changes.map(({ name }) => name)).size).toBe(changes.length);
    expect(chosenChanges("")).toEqual(changes);
    expect(chosenChanges("change")).toEqual(changes);
    expect(chosenChanges("a user's password, registry: a").map(({ name }) => name)).toEqual([
      "a user's password",
      "registry: a setting",
      "registry: another image",
      "registry: an image that does not start",
    ]);
    expect(chosenChanges("power")).toEqual([]);
  });

  test("find what is made anew by its name", () => {
    const urns = [
      "urn:pulumi:dev::moorage::a$b:B::ca-front-certificate",
      "urn:pulumi:dev::moorage::a:A::ca-front-key",
    ];
    const state = JSON.stringify({ deployment: { resources: urns.map((urn) => ({ urn })) } });
    expect(urnsOf(state, /^ca-front-certificate$/)).toEqual(urns.slice(0, 1));
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
    expect(changeCells(good)).toEqual([
      "nginx: a setting",
      "9, 2, 1",
      "30, 2, 0",
      "400, 3",
      "0.80 s",
      "0.09 s",
      "0 s",
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
  });

  test("say why a push had to be tried again", () => {
    const outcome = { kind: "push", client: "c", start: 1, end: 2, ok: true, retries: 1 } as const;
    const outcomes: Outcome[] = [
      { ...outcome, error: 'Patch "https://…": write: connection reset by peer' },
      { ...outcome, error: 'Put "https://…": EOF' },
      { ...outcome, retries: 0 },
    ];
    expect(reasonsOf(outcomes)).toEqual(["2× push: the connection ended with its front"]);
    expect(causeOf("dial tcp 10.0.2.10:443: connect: connection refused")).toBe("no front at the VIP");
    expect(causeOf("received unexpected HTTP status: 503 Service Unavailable")).toBe("no registry or store");
  });

  test("have no push that failed for a reason nobody understands", () => {
    const push = { kind: "push", client: "c", start: 1, end: 2, ok: false, retries: 3 } as const;
    const outcomes: Outcome[] = [
      { ...push, error: "unexpected EOF" },
      { ...push, error: "the moon was full" },
      { ...push, error: "the moon was new", ok: true },
      { ...push, error: "the moon was half", kind: "pull" },
    ];
    expect(unexplained(outcomes)).toEqual(["a push failed, and it is not understood why: the moon was full"]);
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
      changes.map(({ name }) => name).filter((name) => /^nginx|password|certificate/.test(name)),
    );
  });

  test("that do not start name the service that goes back", () => {
    const [found] = chosenChanges("registry: an image that does not start");
    expect("service registry-coreos2: Swarm rolled the update back (x)").toMatch(found?.fails ?? /^$/);
  });
});
