/**
 * Pulls and pushes beside one plain registry of the same version on the same machine: `tsx bench/dataPath.ts ROUNDS FILE`, which
 * gets Markdown. The clients are on a client host of the lab, the plain registry (filesystem, HTTP, no authentication) on another.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { LabError, must, readIf } from "../lab/exec";
import { checkout, hostNamed, type Host } from "../lab/instance";
import { load, onHost, type RegistryAccess } from "../lab/journey/push";
import { ownLab } from "../tests/support/labSetup";
import { TestLab } from "../tests/support/testLab";
import { cpuBetween, cpuOf, shares, sum, type Cpu } from "./cpu";
import { pull, type Image, type Pulled, type Pulls, type Registry } from "./pulls";
import type { Pushed, Pushes } from "./pushes";
import { writeFigures } from "./program";
import { markdownTable, median } from "./table";

const MB = 1_000_000;
const PLAIN_PORT = 5000;
const CLIENTS = [1, 10, 50];
const say = (line: string): void => console.error(line);

/** A registry, from where its clients ask it, and whose CPU time counts. */
interface Target extends Registry {
  /** Command that runs another in the clients' network namespace. */
  readonly inside: readonly string[];
  readonly cgroup: string;
}

/** What `work` came to, and the CPU time of the target meanwhile. */
async function withCpu<T>({ cgroup }: Target, work: () => Promise<T>): Promise<T & { cpu: Cpu }> {
  const before = cpuOf(cgroup);
  const done = await work();
  return { ...done, cpu: cpuBetween(before, cpuOf(cgroup)) };
}

const push = (target: Target, job: Omit<Pushes, keyof Registry>): Promise<Pushed & { cpu: Cpu }> =>
  withCpu(target, async () => {
    const { base, ca, auth } = target;
    const program = path.join(checkout(), "bench", "pushes.ts");
    const [command = "", ...args] = [...target.inside, process.execPath, "--require", "tsx/cjs", program];
    const input = JSON.stringify({ ...job, base, ca, auth });
    return JSON.parse(await must(command, args, { input, cwd: checkout() })) as Pushed;
  });

/** Milliseconds by round. */
interface Row {
  readonly ours: number[];
  readonly plain: number[];
}

/** Ratios are of the same round. */
class Table {
  private readonly rows = new Map<string, Row>();
  private readonly used: string[][] = [];

  /** @param aim how many times as fast as the plain registry it is meant to be, at least */
  add(title: string, clients: number, aim: string, ours: number, plain: number): void {
    const name = `${title} | ${clients} | ${aim}`;
    const row = this.rows.get(name) ?? { ours: [], plain: [] };
    row.ours.push(ours);
    row.plain.push(plain);
    this.rows.set(name, row);
    say(`${title}, ${clients}: ${ours.toFixed(1)} ms, plain ${plain.toFixed(1)} ms`);
  }

  cpu(title: string, clients: number, { ours, plain }: Both<object>, units: number): void {
    for (const [name, { cpu }] of Object.entries({ Moorage: ours, "plain registry": plain })) {
      const line = [title, String(clients), name, (sum(cpu) / units).toFixed(3), shares(cpu, units)];
      this.used.push(line);
      say(line.join(", "));
    }
  }

  markdown(): string {
    const cells = [...this.rows].map(([name, { ours, plain }]) => {
      const ratios = ours.map((each, round) => (plain[round] ?? NaN) / each);
      const range = `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`;
      const ms = (all: number[]): string => `${median(all).toFixed(1)} ms`;
      const [title = "", clients = "", aim = ""] = name.split(" | ");
      return [title, clients, ms(ours), ms(plain), median(ratios).toFixed(2), range, aim];
    });
    const head = ["", "clients", "Moorage", "plain registry", "times as fast", "over the rounds", "aim"];
    const rounds = Math.max(...[...this.rows.values()].map(({ ours }) => ours.length));
    return [
      `${rounds} rounds.`,
      markdownTable(head, cells),
      "CPU seconds in the last round, and the programs that took most of them:",
      markdownTable(["", "clients", "", "CPU seconds", "of these"], this.used),
    ].join("\n\n");
  }
}

interface Targets {
  readonly ours: Target;
  readonly plain: Target;
  /** One of ours, without nginx and HAProxy before it. */
  readonly registry: Target;
}

interface Both<T> {
  readonly ours: T & { readonly cpu: Cpu };
  readonly plain: T & { readonly cpu: Cpu };
}

interface Images {
  readonly ours: readonly Image[];
  readonly plain: readonly Image[];
}

const atLeast = (least: number, clients: number, each: number): number => Math.max(least, clients * each);

/** Milliseconds of the whole, for each. */
const perEach = ({ seconds, images }: Pushed): number => (1000 * seconds) / images.length;

class Bench {
  private readonly table = new Table();

  constructor(
    private readonly targets: Targets,
    private readonly id: string,
  ) {}

  async run(rounds: number): Promise<string> {
    const small = await this.prepared("small", 10, MB);
    const large = await this.prepared("large", 5, 10 * MB);
    for (let round = 1; round <= rounds; round += 1) {
      say(`round ${round}`);
      for (const clients of CLIENTS) {
        const last = round === rounds;
        await this.hotPulls(clients, small, large, last);
        await this.pushesAndColdPulls(clients, `${this.id}-${round}-${clients}`, last);
      }
    }
    return this.table.markdown();
  }

  /** Images that each of both has, and has sent once. */
  private async prepared(name: string, count: number, bytes: number): Promise<Images> {
    const job = { clients: 2, times: count, bytes, id: `${this.id}-${name}` };
    const [ours, plain] = [await push(this.targets.ours, job), await push(this.targets.plain, job)];
    const images = { ours: ours.images, plain: plain.images };
    await this.pulls({ clients: 2, times: count }, images);
    return images;
  }

  private async hotPulls(clients: number, small: Images, large: Images, last: boolean): Promise<void> {
    const { table } = this;
    const { ours, plain } = await this.pulls({ clients, times: atLeast(40, clients, 8) }, small);
    table.add("hot pull of 1 MB", clients, "2.0", median(ours.pull), median(plain.pull));
    table.add("its manifest by tag", clients, "0.5", median(ours.manifest), median(plain.manifest));
    table.add("its layer", clients, "", median(ours.layer), median(plain.layer));
    table.add("its layer's first byte", clients, "2.0", median(ours.firstByte), median(plain.firstByte));
    const times = atLeast(15, clients, 2);
    const big = await this.pulls({ clients, times }, large);
    table.add("hot pull of 10 MB", clients, "0.7", median(big.ours.pull), median(big.plain.pull));
    if (last) table.cpu("hot pulls of 10 MB, for each GB", clients, big, (times * 10 * MB) / 1e9);
  }

  private async pushesAndColdPulls(clients: number, id: string, last: boolean): Promise<void> {
    const { table, targets } = this;
    const times = atLeast(8, clients, 1);
    const job = { clients, times, bytes: MB, id };
    const pushed = { ours: await push(targets.ours, job), plain: await push(targets.plain, job) };
    table.add("push of 1 MB", clients, "0.06", perEach(pushed.ours), perEach(pushed.plain));
    const direct = await push(targets.registry, { ...job, id: `${id}-direct` });
    const title = "push of 1 MB, with and without nginx and its HAProxy";
    table.add(title, clients, "0.83", perEach(pushed.ours), perEach(direct));
    const images = { ours: pushed.ours.images, plain: pushed.plain.images };
    const { ours, plain } = await this.pulls({ clients, times }, images);
    table.add("cold pull of 1 MB", clients, "0.25", median(ours.pull), median(plain.pull));
    if (last) table.cpu("pushes of 1 MB, for each", clients, pushed, times);
  }

  private async pulls(job: Omit<Pulls, "images">, images: Images): Promise<Both<Pulled>> {
    const of = (target: Target, own: readonly Image[]) =>
      withCpu(target, () => pull(target.inside, target, { ...job, images: own }));
    return {
      ours: await of(this.targets.ours, images.ours),
      plain: await of(this.targets.plain, images.plain),
    };
  }
}

/** The process of a registry on a node. */
function registryOn(cgroup: string): string {
  const found = fs
    .readdirSync("/proc")
    .find(
      (pid) =>
        readIf(`/proc/${pid}/comm`)?.trim() === "registry" &&
        readIf(`/proc/${pid}/cgroup`)?.includes(`:/${cgroup}/`),
    );
  if (found === undefined) throw new LabError(`no registry runs in ${cgroup}`);
  return found;
}

/** As the registry's own image has it, but for logs. */
const plainConfig = `version: 0.1
log: { level: error, accesslog: { disabled: true } }
storage:
  cache: { blobdescriptor: inmemory }
  filesystem: { rootdirectory: /var/lib/registry }
http: { addr: ":${PLAIN_PORT}" }
`;

/** Starts the plain registry on a client host; it ends with `docker stop plain`. */
async function startPlain({ instance, images }: TestLab, server: Host): Promise<void> {
  const image = await load(instance, server, path.join(images, "registry.tar"));
  const options = "--rm --name plain --network host --volume $PWD/plain.yml:/etc/distribution/config.yml:ro";
  const start = `docker rm --force plain; cat > plain.yml && docker run --detach ${options} ${image}`;
  await onHost(instance, server, start, plainConfig);
  const answers = `curl -fsS -o /dev/null --retry 20 --retry-delay 1 --retry-connrefused http://127.0.0.1:${PLAIN_PORT}/v2/`;
  await onHost(instance, server, answers);
}

function targetsIn({ instance }: TestLab, access: RegistryAccess, server: Host): Targets {
  const inside = ["ip", "netns", "exec", hostNamed(instance, "client1").netns];
  const cgroup = instance.prefix;
  return {
    ours: {
      base: `https://${instance.vip}`,
      ca: access.caCertificate,
      auth: `${access.username}:${access.password}`,
      inside,
      cgroup,
    },
    plain: { base: `http://${server.address}:${PLAIN_PORT}`, inside, cgroup: `${cgroup}/${server.name}` },
    registry: {
      base: `http://127.0.0.1:${PLAIN_PORT}`,
      inside: ["nsenter", "--net", "--target", registryOn(`${cgroup}/coreos1`)],
      cgroup,
    },
  };
}

async function benchDataPath(rounds: number): Promise<string> {
  const leave = await ownLab();
  try {
    const lab = await TestLab.standing();
    // All clients have one address, which would be slowed down from 200 requests a second on.
    lab.changeConfig((config) => {
      config.setIn(["config", "moorage:edge", "limits"], { requestsPerSecond: 10_000, writesPerUser: 1024 });
    });
    await lab.mustUp();
    const server = hostNamed(lab.instance, "client2");
    await startPlain(lab, server);
    try {
      const targets = targetsIn(lab, await lab.access(), server);
      return await new Bench(targets, String(Date.now())).run(rounds);
    } finally {
      await onHost(lab.instance, server, "docker stop plain");
    }
  } finally {
    await leave();
  }
}

void writeFigures(benchDataPath);
