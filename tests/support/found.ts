/** How soon a task that was started anew gets requests. */
import * as net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { RegistryAccess } from "../../lab/journey/push";
import { ensureForward, removeForward } from "../../lab/network";
import { repositoriesOn } from "../chaos/probed";
import { ask, eventually, type TestLab } from "./testLab";

const PATIENCE = 30;
const ASKED_EVERY_MS = 200;

export interface Restart {
  /** A manager, where Swarm is asked and told. */
  readonly manager: string;
  /** Service of one task that is started anew. */
  readonly service: string;
  /** The node whose registry has to answer from the store again: it is started, or needs what is. */
  readonly node: string;
  /** Nodes whose fronts have to find it. */
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

/** Asks the front of one node, past the address of all, for manifests that the registry has to ask its store for. */
class Asking {
  /** When a registry said that it has no such manifest. */
  readonly answered = new Map<string, number>();
  readonly prefix: string;
  private readonly sent: Promise<void>[] = [];
  private going = true;
  private readonly loop: Promise<void>;

  private constructor(
    readonly front: string,
    private readonly lab: TestLab,
    private readonly access: RegistryAccess,
    /** Of this machine; it leads to the front. */
    private readonly port: number,
    repository: string,
  ) {
    this.prefix = `/v2/${repository}/manifests/found-${Date.now()}-`;
    this.loop = this.run();
  }

  /** @param repository one of which the front asks the registry first that is to be found */
  static async begin(
    lab: TestLab,
    access: RegistryAccess,
    front: string,
    repository: string,
  ): Promise<Asking> {
    const port = await freePort();
    await ensureForward(lab.instance, { port, address: lab.host(front).address, targetPort: 443 });
    return new Asking(front, lab, access, port, repository);
  }

  async end(): Promise<void> {
    this.going = false;
    await this.loop;
    await Promise.all(this.sent);
    removeForward(this.lab.instance, this.port);
  }

  private async run(): Promise<void> {
    const { port, access, lab } = this;
    const { username: user, password } = access;
    for (let number = 0; this.going && number < 1000; number++) {
      const path = this.prefix + number;
      const answer = ask(lab, access, path, { user, password, port }).then(
        ({ status }) => void (status === 404 && this.answered.set(path, Date.now())),
        () => undefined,
      );
      this.sent.push(answer);
      await sleep(ASKED_EVERY_MS);
    }
  }
}

function freePort(): Promise<number> {
  const server = net.createServer();
  return new Promise((resolve, reject) => {
    server.once("error", reject).listen(0, "127.0.0.1", () => {
      const { port } = server.address() as net.AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

/**
 * Seconds from when a restarted service's task runs until the registry has answered a request from the store, by the
 * node whose front passed that on.
 */
export async function secondsUntilFound(
  lab: TestLab,
  access: RegistryAccess,
  { manager, service, node, fronts }: Restart,
): Promise<Record<string, number>> {
  const repository = repositoriesOn(lab.nodes.map(({ name }) => name)).get(node);
  if (repository === undefined) throw new Error(`no repository is found for ${node}`);
  const askings: Asking[] = [];
  try {
    for (const front of fronts) askings.push(await Asking.begin(lab, access, front, repository));
    await lab.mustRoot(manager, `docker service update --detach=false --quiet --force ${service} >/dev/null`);
    const { since } = await runningTask(lab, manager, service);
    const { addresses } = await runningTask(lab, manager, `registry-${node}`);
    const found: Record<string, number> = {};
    await eventually(PATIENCE, async () => {
      for (const asking of askings) {
        found[asking.front] ??= (await foundAt(lab, asking, addresses, since)) - since;
      }
    });
    return Object.fromEntries(Object.entries(found).map(([front, ms]) => [front, ms / 1000]));
  } finally {
    await Promise.all(askings.map((asking) => asking.end()));
  }
}

/** When a front had an answer of the registry at one of these addresses first, in milliseconds. */
async function foundAt(
  lab: TestLab,
  asking: Asking,
  addresses: readonly string[],
  since: number,
): Promise<number> {
  const passed = await passedOn(lab, asking);
  const times = passed
    .filter(({ upstream }) => addresses.some((address) => upstream.startsWith(`${address}:`)))
    .flatMap(({ path }) => asking.answered.get(path) ?? [])
    .filter((time) => time >= since);
  if (times.length === 0) throw new Error(`${addresses.join(", ")} was not found by ${asking.front}`);
  return Math.min(...times);
}

/** What a node's front has passed on, and to whom in the end. */
async function passedOn(
  lab: TestLab,
  { front, prefix }: Asking,
): Promise<{ path: string; upstream: string }[]> {
  const containers = "docker ps --quiet --filter label=com.docker.swarm.service.name=nginx";
  const log = await lab.mustRoot(
    front,
    `for id in $(${containers}); do docker logs --since 5m $id 2>&1; done | grep '"path":"${prefix}' || :`,
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
