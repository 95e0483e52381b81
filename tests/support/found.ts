/** How soon a task that was started anew gets requests. */
import { setTimeout as sleep } from "node:timers/promises";
import type { RegistryAccess } from "../../lab/journey/push";
import { ask, eventually, type TestLab } from "./testLab";

const PATIENCE = 30;

export interface Restart {
  /** A manager, where Swarm is asked and told. */
  readonly manager: string;
  /** Service of one task that is started anew. */
  readonly service: string;
  /** Service whose task has to answer from the store again; the one that is started, or one that needs it. */
  readonly registry: string;
  /** Nodes whose fronts may have passed a request on. */
  readonly fronts: readonly string[];
}

interface Task {
  /** When Swarm saw it run, in milliseconds. */
  readonly since: number;
  readonly addresses: readonly string[];
}

async function runningTask(lab: TestLab, manager: string, service: string): Promise<Task> {
  const tasks = `docker service ps --no-trunc --quiet --filter desired-state=running ${service}`;
  const format = "{{json .Status.Timestamp}}\n{{json .NetworksAttachments}}";
  const said = await lab.mustRoot(manager, `docker inspect --type task --format '${format}' $(${tasks})`);
  const [since = "", networks = ""] = said.trim().split("\n");
  const attachments = JSON.parse(networks) as { Addresses?: string[] }[];
  return {
    since: Date.parse(JSON.parse(since) as string),
    addresses: attachments.flatMap(({ Addresses = [] }) => Addresses.map((one) => one.split("/")[0] ?? "")),
  };
}

/** Asks for a repository after the other, ten times each second, so that each registry is somebody's first choice. */
class Asking {
  /** When a registry said that it has no such manifest, which it asks the store for. */
  readonly answered = new Map<string, number>();
  readonly prefix = `found/at-${Date.now()}-`;
  private readonly sent: Promise<void>[] = [];
  private going = true;
  private readonly loop: Promise<void>;

  constructor(
    private readonly lab: TestLab,
    private readonly access: RegistryAccess,
  ) {
    this.loop = this.run();
  }

  async end(): Promise<void> {
    this.going = false;
    await this.loop;
    await Promise.all(this.sent);
  }

  private async run(): Promise<void> {
    const { username: user, password } = this.access;
    for (let number = 0; this.going && number < 2000; number++) {
      const path = `/v2/${this.prefix}${number}/manifests/none`;
      const answer = ask(this.lab, this.access, path, { user, password }).then(
        ({ status }) => void (status === 404 && this.answered.set(path, Date.now())),
        () => undefined,
      );
      this.sent.push(answer);
      await sleep(100);
    }
  }
}

/** Seconds from when a restarted service's task runs until the registry has answered a request from the store. */
export async function secondsUntilFound(
  lab: TestLab,
  access: RegistryAccess,
  { manager, service, registry, fronts }: Restart,
): Promise<number> {
  const asking = new Asking(lab, access);
  try {
    await lab.mustRoot(manager, `docker service update --detach=false --quiet --force ${service} >/dev/null`);
    const { since } = await runningTask(lab, manager, service);
    const { addresses } = await runningTask(lab, manager, registry);
    let found = Number.POSITIVE_INFINITY;
    await eventually(PATIENCE, async () => {
      const passed = await Promise.all(fronts.map((front) => passedOn(lab, front, asking.prefix)));
      const times = passed
        .flat()
        .filter(({ upstream }) => addresses.some((address) => upstream.startsWith(`${address}:`)))
        .flatMap(({ path }) => asking.answered.get(path) ?? [])
        .filter((time) => time >= since);
      found = Math.min(...times);
      if (times.length === 0) throw new Error(`${service} runs, and ${registry} was not found`);
    });
    return (found - since) / 1000;
  } finally {
    await asking.end();
  }
}

/** What a node's front has passed on, and to whom in the end. */
async function passedOn(
  lab: TestLab,
  front: string,
  prefix: string,
): Promise<{ path: string; upstream: string }[]> {
  const containers = "docker ps --quiet --filter label=com.docker.swarm.service.name=nginx";
  const log = await lab.mustRoot(
    front,
    `for id in $(${containers}); do docker logs --since 5m $id 2>&1; done | grep '"path":"/v2/${prefix}' || :`,
  );
  return log
    .trim()
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as { path: string; upstream: string })
    .map(({ path, upstream }) => ({ path, upstream: upstream.split(/, | : /).at(-1) ?? "" }));
}

/** Kills a node's front, and gives back the seconds from when a new one was started until that one answers. */
export async function secondsUntilFrontAnswers(lab: TestLab, node: string): Promise<number> {
  const id = "docker ps --quiet --no-trunc --filter label=com.docker.swarm.service.name=nginx";
  const killed = (await lab.mustRoot(node, id)).trim();
  await lab.mustRoot(node, `docker kill ${killed}`);
  let answered = 0;
  const front = `https://${lab.host(node).address}/v2/`;
  await eventually(PATIENCE, async () => {
    const now = (await lab.mustRoot(node, id)).trim();
    if (now === "" || now === killed) throw new Error(`no new front runs on ${node}`);
    const status = await lab.mustRoot(node, `curl -sk -m 1 -o /dev/null -w '%{http_code}' ${front}`);
    if (status !== "401") throw new Error(`the front on ${node} answers with ${status}`);
    answered = Date.now();
  });
  const started = await lab.mustRoot(node, `docker inspect --format '{{.State.StartedAt}}' $(${id})`);
  return (answered - Date.parse(started.trim())) / 1000;
}
