import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { without } from "../../lab/plugins/properties";
import {
  changesOf,
  lives,
  missingArchive,
  orSkip,
  plansWithout,
  refusedNames,
  startBoth,
  type Both,
  type Pair,
} from "./both";
import { Daemon } from "./daemon";
import { dockerCases } from "./dockerCases";
import type { Case } from "./cases";
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

/** What Docker says of a resource, without what it makes up itself. */
async function look(type: string, id: string): Promise<unknown> {
  const { body } = await (daemon as Daemon).ask("GET", `/${folders[type.split(":").at(-1) ?? ""]}/${id}`);
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

/** A change by hand: of what can be changed, the labels. */
function spoilerOf(type: string): ((id: string) => Promise<void>) | undefined {
  if (type.endsWith(":Network")) return undefined;
  return async (id) => {
    const kind = folders[type.split(":").at(-1) ?? ""];
    const { body } = await (daemon as Daemon).ask("GET", `/${kind}/${id}`);
    const { Index } = body.Version as { Index: number };
    const spec = { ...(body.Spec as Wire), Labels: { by: "hand" } } as Wire & { TaskTemplate?: Wire };
    if (spec.TaskTemplate) {
      const container = spec.TaskTemplate.ContainerSpec as Wire;
      Object.assign(container, { Args: ["by hand"], Mounts: [], Env: ["BY=hand"], Hostname: "by-hand" });
      Object.assign(spec.UpdateConfig as Wire, { Parallelism: 7 });
    }
    const { status, body: said } = await (daemon as Daemon).ask(
      "POST",
      `/${kind}/${id}/update?version=${Index}`,
      spec,
    );
    expect(status, JSON.stringify(said)).toBe(200);
  };
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
    spoil: spoilerOf(one.type),
  });

  test("lives as by the published plugin", async (context) => {
    const of = orSkip(both, context);
    base = await one.inputs(of.published);
    const update = await one.update?.(of.published);
    const { published, standIn, pair: made } = await lives({ ...round(of), update });
    pair = made;
    expect(standIn).toEqual(published);
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

  test("another one of its name is refused, as Docker says", async (context) => {
    const { published, standIn } = await refusedNames(round(orSkip(both, context)));
    expect(published).toMatch(/^Error response from daemon: .*(exist|conflict)/);
    expect(standIn).toBe(published);
  });
});

test.for(wrongDockerInputs)("refused: $title", async (wrong, context) => {
  await expectRefused(orSkip(both, context), wrong);
});
