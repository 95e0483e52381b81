/** Whether nodes, and programs on them, are away one after the other, by what Swarm's managers and systemd say. */
import { shellIn, type Place } from "../../lab/faults/place";
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
const NOT_LISTED = "not listed";

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

/**
 * The same with what was known of a node before, where its status is `Unknown`: so the managers list every node from when
 * another one becomes the leader until it has heard of that node, which was seen to take six seconds, as SwarmKit's dispatcher
 * marks them all. Of whom nothing was known before is taken to be ready.
 */
function withoutUnknown(samples: readonly Listed[]): Listed[] {
  const known = new Map<string, string>();
  return samples.map((listed) => {
    const rows = [...listed].map(([name, what]): [string, string] => {
      const [status = "", availability = ""] = what.split(" ");
      if (status !== "Unknown") known.set(name, status);
      return [name, `${known.get(name) ?? "Ready"} ${availability}`];
    });
    return new Map(rows);
  });
}

export interface Turns {
  readonly names: readonly string[];
  /** Who has to have been out of service, drained before. */
  readonly each: readonly string[];
}

/** Nodes, and what the managers list of them. */
const said = (names: readonly string[], listed: Listed): string =>
  names.map((name) => `${name} (${listed.get(name) ?? NOT_LISTED})`).join(", ");

/** What was seen that should not be. */
export function turnProblems(seen: readonly Listed[], { names, each }: Turns): string[] {
  const samples = withoutUnknown(seen);
  const awayIn = (listed: Listed) => names.filter((name) => listed.get(name) !== IN_SERVICE);
  const together = samples.filter((listed) => awayIn(listed).length > 1);
  const problems = [...new Set(together.map((listed) => said(awayIn(listed), listed)))].map(
    (those) => `out of service at the same time: ${those}`,
  );
  for (const name of names) {
    const first = samples.find((listed) => listed.get(name) !== IN_SERVICE);
    if (first === undefined && each.includes(name)) problems.push(`${name} was not out of service`);
    if (first === undefined) continue;
    const what = first.get(name) ?? NOT_LISTED;
    if (!each.includes(name)) problems.push(`${name} was out of service, too: ${what}`);
    else if (what !== "Ready Drain") problems.push(`${name} went without being drained: ${what}`);
  }
  const last = samples.at(-1);
  const left = last === undefined ? names : awayIn(last);
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

/** From when to when a program on a node did not serve, in milliseconds since 1970. */
export interface Restart {
  /** `nginx/coreos1` */
  readonly program: string;
  readonly from: number;
  readonly to: number;
}

/** Swarm makes the new task as it tells the old one to stop, where there is no room for both. */
export function restartsIn(output: string): Restart[] {
  const rows = output.matchAll(/^(\S+) "(\S+)" "(\S+)" running$/gm);
  return [...rows].map(([, program = "", made = "", running = ""]) => ({
    program,
    from: Date.parse(made),
    to: Date.parse(running),
  }));
}

/**
 * Of a unit, by what systemd knows of it: from when it was active no more until it was active again.
 * @param zero what the clock said, in milliseconds since 1970, when the kernel's own said 0
 */
export function unitRestart(program: string, shown: string, zero: number): Restart[] {
  const at = (property: string): number =>
    Number(new RegExp(`^${property}TimestampMonotonic=(\\d+)$`, "m").exec(shown)?.[1] ?? 0) / 1000;
  const [from, to] = [at("ActiveExit"), at("ActiveEnter")];
  return from > 0 && to > from ? [{ program, from: zero + from, to: zero + to }] : [];
}

/** @param since when all programs still ran as before */
export function restartProblems(
  restarts: readonly Restart[],
  programs: readonly string[],
  since: number,
): string[] {
  const anew = restarts.filter(({ from }) => from >= since).sort((one, next) => one.from - next.from);
  const still = programs.filter((name) => !anew.some(({ program }) => program === name));
  const together = anew.flatMap((one, index) =>
    anew
      .slice(index + 1)
      .filter(({ from }) => from < one.to)
      .map(({ program }) => `${one.program} and ${program} were away at the same time`),
  );
  return [...still.map((name) => `${name} was not started anew`), ...together];
}

/** Where the first does not become healthy, no other one may be touched. */
export function spreadProblems(restarts: readonly Restart[], since: number): string[] {
  const anew = new Set(restarts.filter(({ from }) => from >= since).map(({ program }) => program));
  return anew.size > 1
    ? [`${[...anew].sort().join(" and ")} were started anew, and not the first alone`]
    : [];
}

/** What is changed node by node. */
type Program = "minio" | "registry" | "nginx" | "keepalived";

/** Where a change starts them anew: on one node after the other, or, where it fails, on the first alone. */
export interface Restarts {
  readonly programs: readonly Program[];
  readonly where: "every node" | "the first alone";
}

/** Whether each of the programs is started anew where it has to be, and no two of one kind are away at a time. */
export function watchRestarts({ programs, where }: Restarts): Watch {
  return (stage) => {
    const since = Date.now();
    const nodes = stage.members.nodes.map(({ host }) => host.name);
    return Promise.resolve(async () => {
      const found = await Promise.all(
        programs.map(async (program) => {
          const restarts =
            program === "keepalived" ? await unitRestarts(stage) : await taskRestarts(stage, program, nodes);
          if (where === "the first alone") return spreadProblems(restarts, since);
          const all = nodes.map((node) => `${serviceOf(program, node)}/${node}`);
          return restartProblems(restarts, all, since);
        }),
      );
      return found.flat();
    });
  };
}

/** The Swarm service, or the unit, that a program is on a node. */
const serviceOf = (program: Program, node: string): string =>
  program === "nginx" || program === "keepalived" ? program : `${program}-${node}`;

async function taskRestarts(stage: Stage, program: Program, nodes: readonly string[]): Promise<Restart[]> {
  const services = [...new Set(nodes.map((node) => serviceOf(program, node)))];
  return restartsIn(await askManagers(stage, tasksOf(services), TASKS_SECONDS));
}

/** A shell line that says of each task, by service and node, when it was made, and since when it is what it is. */
const tasksOf = (services: readonly string[]): string =>
  `for service in ${services.join(" ")}; do` +
  " docker service ps --no-trunc --filter desired-state=running --format '{{.ID}} {{.Node}}' $service |" +
  ` while read -r task node; do echo $service/$node $(docker inspect --type task --format ${TASK} $task); done; done`;

const SHOW_KEEPALIVED =
  "systemctl show --property ActiveExitTimestampMonotonic,ActiveEnterTimestampMonotonic moorage-keepalived.service";

async function unitRestarts({ members }: Stage): Promise<Restart[]> {
  // All hosts of a lab have this machine's kernel, and its clock.
  const zero = Date.now() - Number(process.hrtime.bigint() / 1_000_000n);
  const shown = members.nodes.map(async (place: Place) => {
    const { stdout } = await shellIn(place, SHOW_KEEPALIVED);
    return unitRestart(`keepalived/${place.host.name}`, stdout, zero);
  });
  return (await Promise.all(shown)).flat();
}

/** Several watches of one change. */
export const watchAll =
  (...watches: readonly Watch[]): Watch =>
  async (stage, lab, holder) => {
    const ends: Awaited<ReturnType<Watch>>[] = [];
    for (const watch of watches) ends.push(await watch(stage, lab, holder));
    return async (later) => (await Promise.all(ends.map((end) => end(later)))).flat();
  };

/** What the first manager says that says anything. */
async function askManagers(stage: Stage, line: string, seconds = 3): Promise<string> {
  const { nodes, managers } = stage.members;
  for (const place of nodes.slice(0, managers)) {
    const done = await shellIn(place, line, seconds).catch(() => undefined);
    if (done?.code === 0 && done.stdout.trim() !== "") return done.stdout;
  }
  return "";
}
