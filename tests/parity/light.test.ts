import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { changesOf, lives, orSkip, startBoth, type Both, type Pair } from "./both";
import type { Wire } from "./plugin";
import { cases, type Case } from "./cases";

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

describe.each(cases)("$title", (one: Case) => {
  let pair: Pair | undefined;
  let base: Wire = {};
  const bothFor = () => started.get(one.type.split(":")[0] ?? "") ?? { missing: "there is no such plugin" };

  test("is checked, previewed, made and read as by the published plugin", async (context) => {
    const both = orSkip(bothFor(), context);
    base = await one.inputs(both.published);
    const {
      published,
      standIn,
      pair: made,
    } = await lives({
      both,
      type: one.type,
      inputs: base,
      own: one.own,
      update: await one.update?.(both.published),
    });
    pair = made;
    expect(standIn).toEqual(published);
  });

  test.for(Object.keys(one.changes))("a change of %s", async (property, context) => {
    const both = orSkip(bothFor(), context);
    if (!pair) throw new Error("there is none");
    const news = { ...base, ...(await one.changes[property]?.(both.published)) };
    for (const [key, value] of Object.entries(news)) if (value === undefined) delete news[key];
    const round = { both, type: one.type, inputs: base, own: one.own };
    const { published, ...others } = await changesOf(round, pair, news);
    for (const [who, change] of Object.entries(others))
      expect({ ...published, ...change }, who).toEqual(published);
  });
});
