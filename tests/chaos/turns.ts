/** Whether nodes, and members of MinIO, are away one after the other, by what the Swarm's managers say. */
import { shellIn } from "../../lab/faults/place";
import type { Watch } from "./changes";
import type { Stage } from "./stage";

const EVERY_MS = 1500;
/** Eight looks at a manager. */
const TASKS_SECONDS = 20;

const LISTED = "'{{.Hostname}} {{.Status}} {{.Availability}}'";
const TASK = "'{{json .CreatedAt}} {{json .Status.Timestamp}} {{.Status.State}}'";

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
  /** Who has to have been out of service, drained before. */
  readonly each: readonly string[];
}

/** What was seen that should not be. */
export function turnProblems(samples: readonly Listed[], { names, each }: Turns): string[] {
  const away = samples.map((listed) => names.filter((name) => listed.get(name) !== IN_SERVICE));
  const together = new Set(away.filter((those) => those.length > 1).map((those) => those.join(" and ")));
  const problems = [...together].map((those) => `${those} were out of service at the same time`);
  for (const name of names) {
    const first = samples.find((listed) => listed.get(name) !== IN_SERVICE);
    if (first === undefined && each.includes(name)) problems.push(`${name} was not out of service`);
    if (first === undefined) continue;
    const what = first.get(name) ?? "not listed";
    if (!each.includes(name)) problems.push(`${name} was out of service, too: ${what}`);
    else if (what !== "Ready Drain") problems.push(`${name} went without being drained: ${what}`);
  }
  const left = away.at(-1) ?? names;
  return [...problems, ...left.map((name) => `${name} did not come back into service`)];
}

/** Asks the managers, as long as an update runs, who is in service. */
export function watchTurns(whose: "all" | "holder"): Watch {
  return (stage, _lab, holder) => {
    const { nodes } = stage.members;
    const samples: Listed[] = [];
    let over = false;
    const looking = (async () => {
      do {
        const listed = listedIn(await askManagers(stage, `docker node ls --format ${LISTED}`));
        // Nobody may answer for a moment, when another one becomes the leader.
        if (listed.size > 0) samples.push(listed);
        await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
      } while (!over);
    })();
    const names = nodes.map(({ host }) => host.name);
    return Promise.resolve(async () => {
      over = true;
      await looking;
      return turnProblems(samples, { names, each: whose === "all" ? names : [holder] });
    });
  };
}

/** From when to when a service had nothing that serves, in milliseconds since 1970. */
export interface Restart {
  readonly service: string;
  readonly from: number;
  readonly to: number;
}

/** Swarm makes the new task as it tells the old one to stop, where there is no room for both. */
export function restartsIn(output: string): Restart[] {
  const rows = output.matchAll(/^(\S+) "(\S+)" "(\S+)" running$/gm);
  return [...rows].map(([, service = "", made = "", running = ""]) => ({
    service,
    from: Date.parse(made),
    to: Date.parse(running),
  }));
}

/** @param since when all services still had their former tasks */
export function restartProblems(
  restarts: readonly Restart[],
  services: readonly string[],
  since: number,
): string[] {
  const anew = restarts.filter(({ from }) => from >= since).sort((one, next) => one.from - next.from);
  const still = services.filter((name) => !anew.some(({ service }) => service === name));
  const together = anew.flatMap((one, index) =>
    anew
      .slice(index + 1)
      .filter(({ from }) => from < one.to)
      .map(({ service }) => `${one.service} and ${service} were away at the same time`),
  );
  return [...still.map((name) => `${name} was not started anew`), ...together];
}

/** Each member of MinIO is started anew, and no two of them are away at a time. */
export const watchMembers: Watch = (stage) => {
  const since = Date.now();
  const services = stage.members.nodes.map(({ host }) => `minio-${host.name}`);
  return Promise.resolve(async () => {
    const said = await askManagers(stage, tasksOf(services), TASKS_SECONDS);
    return restartProblems(restartsIn(said), services, since);
  });
};

/** A shell line that says of each service's task when it was made, and since when it is what it is. */
const tasksOf = (services: readonly string[]): string =>
  `for service in ${services.join(" ")}; do` +
  " for task in $(docker service ps --quiet --no-trunc --filter desired-state=running $service);" +
  ` do echo $service $(docker inspect --type task --format ${TASK} $task); done; done`;

/** What the first manager says that says anything. */
async function askManagers(stage: Stage, line: string, seconds = 3): Promise<string> {
  const { nodes, managers } = stage.members;
  for (const place of nodes.slice(0, managers)) {
    const done = await shellIn(place, line, seconds).catch(() => undefined);
    if (done?.code === 0 && done.stdout.trim() !== "") return done.stdout;
  }
  return "";
}
