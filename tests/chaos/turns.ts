/** Whether nodes are taken out of service one after the other, by what the Swarm's managers list meanwhile. */
import { shellIn, type Place } from "../../lab/faults/place";
import type { Watch } from "./changes";

const EVERY_MS = 1500;

/** What the managers list, such as `Ready Active`, by node; at one moment. */
export type Listed = ReadonlyMap<string, string>;

const IN_SERVICE = "Ready Active";

/** The nodes of `docker node ls`; one that left its former entry behind is what the better one says. */
export function listedIn(output: string): Listed {
  const rows = [...output.matchAll(/^(\S+) (\w+ \w+)$/gm)].map(
    ([, name = "", what = ""]): [string, string] => [name, what],
  );
  return new Map([
    ...rows.filter(([, what]) => what !== IN_SERVICE),
    ...rows.filter(([, what]) => what === IN_SERVICE),
  ]);
}

export interface Turns {
  readonly names: readonly string[];
  /** Who has to have been out of service. */
  readonly each: readonly string[];
  /** Whether each was drained before it went. */
  readonly drained: boolean;
}

/** What was seen that should not be. */
export function turnProblems(samples: readonly Listed[], { names, each, drained }: Turns): string[] {
  const away = samples.map((listed) => names.filter((name) => listed.get(name) !== IN_SERVICE));
  const together = new Set(away.filter((those) => those.length > 1).map((those) => those.join(" and ")));
  const problems = [...together].map((those) => `${those} were out of service at the same time`);
  for (const name of names) {
    const first = samples.find((listed) => listed.get(name) !== IN_SERVICE);
    if (first === undefined && each.includes(name)) problems.push(`${name} was not out of service`);
    if (first === undefined) continue;
    const what = first.get(name) ?? "not listed";
    if (!each.includes(name)) problems.push(`${name} was out of service, too: ${what}`);
    else if (drained && what !== "Ready Drain") problems.push(`${name} went without being drained: ${what}`);
  }
  const left = away.at(-1) ?? names;
  return [...problems, ...left.map((name) => `${name} did not come back into service`)];
}

/** Asks the managers, as long as an update runs, who is in service. @param only all nodes where it is left out */
export function watchTurns({ only, drained }: { readonly only?: string; readonly drained: boolean }): Watch {
  return (stage) => {
    const { nodes, managers } = stage.members;
    const samples: Listed[] = [];
    let over = false;
    const looking = (async () => {
      do {
        const listed = await listedBy(nodes.slice(0, managers));
        // Nobody may answer for a moment, when another one becomes the leader.
        if (listed.size > 0) samples.push(listed);
        await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
      } while (!over);
    })();
    const names = nodes.map(({ host }) => host.name);
    return Promise.resolve(async () => {
      over = true;
      await looking;
      return turnProblems(samples, { names, each: only === undefined ? names : [only], drained });
    });
  };
}

async function listedBy(managers: readonly Place[]): Promise<Listed> {
  for (const place of managers) {
    const line = "timeout 3 docker node ls --format '{{.Hostname}} {{.Status}} {{.Availability}}'";
    const done = await shellIn(place, line, 5).catch(() => undefined);
    const listed = listedIn(done?.code === 0 ? done.stdout : "");
    if (listed.size > 0) return listed;
  }
  return new Map();
}
