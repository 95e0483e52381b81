import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { changesOf, lives, orSkip, plansWithout, startBoth, type Both, type Pair } from "./both";
import { cases, changed, type Case } from "./cases";
import type { Plugin, Wire } from "./plugin";
import { expectRefused, wrongInputs } from "./wrong";

const started = new Map<string, Both | { missing: string }>();
beforeAll(async () => {
  for (const name of ["command", "random", "tls"]) {
    const both = await startBoth(name);
    started.set(name, both);
    if ("missing" in both) continue;
    await both.published.configure(name);
    await both.standIn.configure(name);
  }
});
afterAll(() => started.forEach((both) => "missing" in both || both.stop()));

const bothFor = (type: string) =>
  started.get(type.split(":")[0] ?? "") ?? { missing: "there is no such plugin" };

/** What the engine may not know before an update: what another resource makes. */
const unknowns: Readonly<Record<string, readonly string[]>> = {
  "a command": ["create", "stdin"],
  "an authority's certificate": ["privateKeyPem"],
  "a certificate request": ["privateKeyPem", "dnsNames", "ipAddresses"],
  "an authority's leaf": ["certRequestPem", "caPrivateKeyPem", "caCertPem"],
};

describe.each(cases)("$title", (one: Case) => {
  let pair: Pair | undefined;
  let base: Wire = {};
  const round = (both: Both) => ({ both, type: one.type, inputs: base, own: one.own });

  test("is checked, previewed, made and read as by the published plugin", async (context) => {
    const both = orSkip(bothFor(one.type), context);
    base = await one.inputs(both.published);
    const update = await one.update?.(both.published);
    const { published, standIn, pair: made } = await lives({ ...round(both), update });
    pair = made;
    expect(standIn).toEqual(published);
  });

  test.for(Object.keys(one.changes))("a change of %s", async (property, context) => {
    const both = orSkip(bothFor(one.type), context);
    if (!pair) throw new Error("there is none");
    const news = changed(base, (await one.changes[property]?.(both.published)) ?? {});
    const { published, ...others } = await changesOf(round(both), pair, news);
    for (const [who, change] of Object.entries(others))
      expect({ ...published, ...change }, who).toEqual(published);
  });

  test.for(unknowns[one.title] ?? [])("a preview without %s", async (path, context) => {
    const both = orSkip(bothFor(one.type), context);
    if (!pair) throw new Error("there is none");
    const { published, standIn } = await plansWithout(round(both), pair, path.split("."));
    expect(standIn).toEqual(published);
  });
});

test.for(wrongInputs)("refused: $title", async (wrong, context) => {
  await expectRefused(orSkip(bothFor(wrong.type), context), wrong);
});

test("a command that fails says how, when it is created and when it is changed", async (context) => {
  const type = "command:local:Command";
  const { published, standIn } = orSkip(bothFor(type), context);
  const failure = async (done: Promise<unknown>) => {
    const said = await done.then(() => "nothing", String);
    return /exit status [^]*/.exec(said)?.[0].trim() ?? said;
  };
  const failures = async (plugin: Plugin) => {
    const made = await plugin.create(type, (await plugin.check(type, { create: "true" })).inputs);
    const { inputs } = await plugin.check(type, { create: "echo broken >&2; exit 3" });
    return [await failure(plugin.create(type, inputs)), await failure(plugin.update(type, made, inputs))];
  };
  const said = await failures(published);
  expect(said).toEqual(Array(2).fill('exit status 3: running "echo broken >&2; exit 3":\nbroken'));
  expect(await failures(standIn)).toEqual(said);
});
