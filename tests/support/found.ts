/** How soon nginx on each edge node asks a restarted service. */
import * as net from "node:net";
import type { RegistryAccess } from "../../lab/journey/push";
import { ensureForward, removeForward } from "../../lab/network";
import { repositoriesOn } from "./probed";
import { ask, type TestLab } from "./testLab";
import { measured, pause, until } from "./waiting";

const ASKED_EVERY_MS = 200;
const NET = { netSeconds: 150 };

export interface Restart {
  readonly manager: string;
  /** The service to restart, of one task. */
  readonly service: string;
  /** The registry here has to answer from the store again: it is restarted, or needs the restarted service. */
  readonly node: string;
  /** Edge nodes that have to find that registry. */
  readonly edges: readonly string[];
}

/** Since when the task of a service runs, in milliseconds, and its addresses. */
async function runningTask(
  lab: TestLab,
  manager: string,
  service: string,
): Promise<{ since: number; addresses: string[] }> {
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

/** Asks one edge node, past the VIP, for manifests that are not there: the registry has to ask its store. */
class Asking {
  /** By path, when a registry answered that it has no such manifest. */
  readonly answered = new Map<string, number>();
  readonly prefix: string;
  private readonly sent: Promise<void>[] = [];
  private going = true;
  private readonly loop: Promise<void>;

  private constructor(
    readonly edge: string,
    private readonly lab: TestLab,
    private readonly access: RegistryAccess,
    /** Of this machine, forwarded to the edge node. */
    private readonly port: number,
    repository: string,
  ) {
    this.prefix = `/v2/${repository}/manifests/found-${Date.now()}-`;
    this.loop = this.run();
  }

  /** @param repository nginx asks the registry that is to be found for it */
  static async begin(
    lab: TestLab,
    access: RegistryAccess,
    edge: string,
    repository: string,
  ): Promise<Asking> {
    const port = await freePort();
    await ensureForward(lab.instance, { port, address: lab.host(edge).address, targetPort: 443 });
    return new Asking(edge, lab, access, port, repository);
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
      await pause(ASKED_EVERY_MS);
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
 * Restarts a service and waits until each edge node has got an answer from the store through it. Measures the seconds from
 * when its task runs.
 */
export async function restartAndFind(
  lab: TestLab,
  access: RegistryAccess,
  { manager, service, node, edges }: Restart,
): Promise<void> {
  const repository = repositoriesOn(lab.nodes.map(({ name }) => name)).get(node);
  if (repository === undefined) throw new Error(`no repository is found for ${node}`);
  const askings: Asking[] = [];
  try {
    for (const edge of edges) askings.push(await Asking.begin(lab, access, edge, repository));
    await lab.mustRoot(manager, `docker service update --detach=false --quiet --force ${service} >/dev/null`);
    const { since } = await runningTask(lab, manager, service);
    const { addresses } = await runningTask(lab, manager, `registry-${node}`);
    for (const asking of askings) {
      const found = () => foundAt(lab, asking, addresses, since);
      const at = await until(`nginx on ${asking.edge} finds ${service}`, found, NET);
      measured(`an edge node finds ${service}`, (at - since) / 1000);
    }
  } finally {
    await Promise.all(askings.map((asking) => asking.end()));
  }
}

/** When the registry at one of these addresses first answered through an edge node, in milliseconds. */
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
  if (times.length === 0) throw new Error(`${addresses.join(", ")} was not found by ${asking.edge}`);
  return Math.min(...times);
}

/** The requests that nginx on a node passed on, each with the upstream that answered. */
async function passedOn(
  lab: TestLab,
  { edge, prefix }: Asking,
): Promise<{ path: string; upstream: string }[]> {
  const containers = "docker ps --quiet --filter label=com.docker.swarm.service.name=nginx";
  const log = await lab.mustRoot(
    edge,
    `for id in $(${containers}); do docker logs --since 5m $id 2>&1; done | grep '"path":"${prefix}' || :`,
  );
  return log
    .trim()
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as { path: string; upstream: string })
    .map(({ path, upstream }) => ({ path, upstream: upstream.split(/, | : /).at(-1) ?? "" }));
}

/** Kills nginx on a node and waits until the next one answers. Measures the seconds from that one's start. */
export async function killAndFindEdge(lab: TestLab, node: string): Promise<void> {
  const id = "docker ps --quiet --no-trunc --filter label=com.docker.swarm.service.name=nginx";
  const killed = (await lab.mustRoot(node, id)).trim();
  await lab.mustRoot(node, `docker kill ${killed}`);
  const url = `https://${lab.host(node).address}/v2/`;
  const answers = async (): Promise<number> => {
    const now = (await lab.mustRoot(node, id)).trim();
    if (now === "" || now === killed) throw new Error(`no new nginx runs on ${node}`);
    const status = await lab.mustRoot(node, `curl -sk -m 1 -o /dev/null -w '%{http_code}' ${url}`);
    if (status !== "401") throw new Error(`nginx on ${node} answers with ${status}`);
    return Date.now();
  };
  const answered = await until(`a new nginx answers on ${node}`, answers, NET);
  const started = await lab.mustRoot(node, `docker inspect --format '{{.State.StartedAt}}' $(${id})`);
  measured("a new nginx answers after its start", (answered - Date.parse(started.trim())) / 1000);
}
