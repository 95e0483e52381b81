import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { standIn as docker } from "../../lab/plugins/docker";
import { without } from "../../lab/plugins/properties";
import {
  beside,
  changesOf,
  foundAfter,
  lives,
  lost,
  missingArchive,
  orSkip,
  plansWithout,
  refusedNames,
  startBoth,
  type Both,
  type Pair,
} from "./both";
import { Daemon, type Answer } from "./daemon";
import { dockerCases } from "./dockerCases";
import { pathsByHand, put, type Case } from "./cases";
import { differing } from "./paths";
import type { Wire } from "./plugin";
import { expectRefused, wrongDockerInputs } from "./wrong";

const settings = { host: "ssh://moorage@swarm", sshOpts: JSON.stringify(["-o", "LogLevel=ERROR"]) };

let daemon: Daemon | undefined;
let both: Both | { missing: string } = { missing: "there is no Docker" };
beforeAll(async () => {
  const missing = missingArchive("docker");
  if (missing !== undefined) return void (both = { missing });
  daemon = await Daemon.start();
  both = await startBoth("docker", { PATH: `${daemon.ssh()}:${process.env.PATH}`, DOCKER_HOST: "" });
  if ("missing" in both) return;
  await both.published.configure("docker", settings);
  await both.standIn.configure("docker", settings);
  await daemon.drain();
}, 180_000);
afterAll(async () => {
  if (!("missing" in both)) both.stop();
  await daemon?.stop();
});

const folders: Readonly<Record<string, string>> = {
  Network: "networks",
  Secret: "secrets",
  ServiceConfig: "configs",
  Service: "services",
};

function placeOf(type: string, id: string): string {
  return `/${folders[type.split(":").at(-1) ?? ""]}/${id}`;
}

/** What Docker says of a resource, without what it makes up itself. */
async function look(type: string, id: string): Promise<unknown> {
  const { body } = await (daemon as Daemon).ask("GET", placeOf(type, id));
  if (!type.endsWith(":Network")) {
    const spec = without(body.Spec as Wire, "Name") as {
      TaskTemplate?: { ContainerSpec: { Env?: string[] } };
    };
    // The published plugin gives them in any order.
    spec.TaskTemplate?.ContainerSpec.Env?.sort();
    return spec;
  }
  return without(body, "Id", "Created");
}

/** Changes a resource with nothing but Docker's API. @param change values by their paths there, in the first of each list */
async function changeByHand(type: string, id: string, change: Wire): Promise<Answer> {
  const place = placeOf(type, id);
  const { body } = await (daemon as Daemon).ask("GET", place);
  const { Index } = (body.Version ?? {}) as { Index?: number };
  const spec = Object.entries(change).reduce(
    (before, [path, value]) => put(before, path, value),
    (body.Spec ?? {}) as Wire,
  );
  const answer = await (daemon as Daemon).ask("POST", `${place}/update?version=${Index}`, spec);
  // The Swarm writes to a service, too.
  return /out of sequence/.test(String(answer.body.message)) ? changeByHand(type, id, change) : answer;
}

async function mustChangeByHand(type: string, id: string, change: Wire): Promise<void> {
  const { status, body } = await changeByHand(type, id, change);
  expect(status, JSON.stringify(body)).toBe(200);
}

async function removeByHand(type: string, id: string): Promise<void> {
  const { status, body } = await (daemon as Daemon).ask("DELETE", placeOf(type, id));
  expect([200, 204], JSON.stringify(body)).toContain(status);
}

/** What the engine may not know before an update: what another resource makes. */
const unknowns: Readonly<Record<string, readonly string[]>> = {
  "a secret": ["data"],
  "a config": ["data"],
  "a service of every property": [
    "taskSpec.containerSpec.configs.configId",
    "taskSpec.containerSpec.configs.configName",
    "taskSpec.containerSpec.secrets.secretId",
    "taskSpec.containerSpec.secrets.secretName",
    "taskSpec.networksAdvanceds.id",
  ],
};

describe.each(dockerCases)("$title", (one: Case) => {
  let pair: Pair | undefined;
  let base: Wire = {};
  const round = (of: Both) => ({
    both: of,
    type: one.type,
    inputs: base,
    own: one.own,
    look: (id: string) => look(one.type, id),
  });

  test("lives as by the published plugin", async (context) => {
    const of = orSkip(both, context);
    base = await one.inputs(of.published);
    const update = await one.update?.(of.published);
    const { pair: made, ...seen } = await lives({ ...round(of), update });
    pair = made;
    expect(seen.standIn).toEqual(seen.published);
  });

  test.for(Object.keys(one.changes))("a change of %s", async (property, context) => {
    const of = orSkip(both, context);
    if (!pair) throw new Error("there is none");
    const news = (await one.changes[property]?.(of.published)) ?? {};
    const { published, ...others } = await changesOf(round(of), pair, news);
    for (const [who, change] of Object.entries(others))
      expect({ ...published, ...change }, who).toEqual(published);
  });

  test.for(unknowns[one.title] ?? [])("a preview without %s", async (path, context) => {
    const of = orSkip(both, context);
    if (!pair) throw new Error("there is none");
    const { published, standIn } = await plansWithout(round(of), pair, path.split("."));
    expect(standIn).toEqual(published);
  });

  test("is found to be gone after somebody has removed it", async (context) => {
    const of = orSkip(both, context);
    const { published, standIn } = await lost(round(of), (id) => removeByHand(one.type, id));
    expect(published.id).toBe("");
    expect(standIn).toEqual(published);
  });

  test("another one of its name is refused, as Docker says", async (context) => {
    const { published, standIn } = await refusedNames(round(orSkip(both, context)));
    expect(published).toMatch(/^Error response from daemon: .*(exist|conflict)/);
    expect(standIn).toBe(published);
  });
});

describe.each(dockerCases)("$title, changed by hand:", (one: Case) => {
  const { changes = {}, unseen = [], refused = {} } = one.byHand ?? {};
  const properties = docker.types[one.type]?.properties ?? {};
  const roundOf = async (of: Both) => ({
    both: of,
    type: one.type,
    inputs: await one.inputs(of.published),
    own: [...one.own, "name"],
  });

  test.concurrent.for(Object.keys(changes))("%s", async (key, context) => {
    const of = orSkip(both, context);
    const change = (await changes[key]?.(of.published)) ?? {};
    const found = await foundAfter(await roundOf(of), (id) => mustChangeByHand(one.type, id, change));
    expect(found.standIn).toEqual(found.published);
    const differ = differing(properties, found.before, found.after);
    if (unseen.includes(key)) expect(differ).toEqual([]);
    else expect(differ).toEqual(expect.arrayContaining(pathsByHand(key)));
  });

  const lookAt = (id: string) => look(one.type, id);
  // What an update would replace is not mended.
  const inPlace = Object.keys(changes).filter(
    (key) => /^[^,]*(, added)?$/.test(key) && !/Spec\.labels|sysctl|networks/.test(key),
  );
  if (one.update) {
    test("all of it at once, and mended by an update", async (context) => {
      const of = orSkip(both, context);
      const parts = await Promise.all(inPlace.map((key) => changes[key]?.(of.published)));
      const change = Object.assign({}, ...parts) as Wire;
      const round = { ...(await roundOf(of)), look: lookAt };
      const found = await foundAfter(round, (id) => mustChangeByHand(one.type, id, change));
      expect(found.standIn).toEqual(found.published);
      expect(found.published.diff.detailed.length).toBeGreaterThan(4);
      expect(found.published.diff.replaces).toBe(false);
    });
  }

  test.for(Object.keys(refused))("%s, which Docker refuses", async (key, context) => {
    const { published } = orSkip(both, context);
    const { inputs } = await published.check(one.type, await one.inputs(published));
    const made = await published.create(one.type, beside(inputs));
    const { change = {}, says = /^$/ } = refused[key] ?? {};
    const { status, body } = await changeByHand(one.type, made.id, change).finally(() =>
      published.delete(one.type, made),
    );
    expect(status, JSON.stringify(body)).toBeGreaterThanOrEqual(400);
    expect(body.message).toMatch(says);
  });
});

test.for(wrongDockerInputs)("refused: $title", async (wrong, context) => {
  await expectRefused(orSkip(both, context), wrong);
});
