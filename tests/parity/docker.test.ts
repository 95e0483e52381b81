import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { merged, without } from "../../lab/plugins/properties";
import {
  changesOf,
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

/** What can be changed of configs and secrets. */
const labelsByHand: Wire = { Labels: { by: "hand" } };

/** What `docker service update` changes, as Docker's API has it, by steps of several flags. */
const serviceByHand: readonly Wire[] = [
  {
    ...labelsByHand,
    UpdateConfig: { Parallelism: 7 },
    TaskTemplate: {
      ContainerSpec: { Args: ["by hand"], Mounts: [], Env: ["BY=hand"], Hostname: "by-hand" },
    },
  },
  {
    ...labelsByHand,
    TaskTemplate: {
      ContainerSpec: {
        Image: `sha256:${"c".repeat(64)}`,
        User: "by-hand",
        ReadOnly: false,
        CapabilityDrop: ["NET_RAW"],
        Healthcheck: { Test: ["CMD", "by-hand"], Interval: 7e9, Timeout: 6e9, Retries: 9, StartPeriod: 8e9 },
      },
      Placement: { Constraints: ["node.role==worker"] },
      RestartPolicy: { Condition: "on-failure", Delay: 4e9, Window: 6e9 },
    },
  },
  {
    Labels: {},
    TaskTemplate: {
      ContainerSpec: {
        ReadOnly: true,
        CapabilityDrop: [],
        Healthcheck: { Test: ["NONE"], Interval: 0, Timeout: 0, Retries: 0, StartPeriod: 0 },
      },
      Placement: { Constraints: [] },
      RestartPolicy: { Condition: "none", Delay: 0, Window: 0 },
    },
  },
];

const replicasByHand: Wire = { Mode: { Replicated: { Replicas: 3 } } };

/** How a resource is changed by hand, step by step; of a network nothing can be. */
function spoilersOf(type: string) {
  if (type.endsWith(":Network")) return [];
  const changes = type.endsWith(":Service") ? serviceByHand : [labelsByHand];
  return changes.map((change) => async (id: string) => {
    const place = placeOf(type, id);
    const { body } = await (daemon as Daemon).ask("GET", place);
    const { Index } = body.Version as { Index: number };
    const before = without(body.Spec as Wire, "Labels");
    const hasReplicas = "Replicated" in ((before.Mode ?? {}) as Wire);
    const after = merged(merged(before, change), hasReplicas ? replicasByHand : {});
    const update = `${place}/update?version=${Index}`;
    const { status, body: said } = await (daemon as Daemon).ask("POST", update, after);
    expect(status, JSON.stringify(said)).toBe(200);
  });
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
    spoilers: spoilersOf(one.type),
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

test.for(wrongDockerInputs)("refused: $title", async (wrong, context) => {
  await expectRefused(orSkip(both, context), wrong);
});
