/** Everything that goes on while faults are done: the load, the prober, the count of the VIP's holders, and etcd's writes. */
import * as fs from "node:fs";
import * as path from "node:path";
import { LabError, waitFor } from "../../lab/exec";
import type { Host, Instance } from "../../lab/instance";
import type { RegistryAccess } from "../../lab/journey/push";
import { dataFolder } from "../../lab/faults/dataDisk";
import { shellIn } from "../../lab/faults/place";
import { probe, readBack } from "./clients";
import type { Probe } from "./client/probe";
import type { Login } from "./client/request";
import { LARGEST, numbersOf } from "./content";
import { EtcdLoad } from "./etcd";
import { LargePushes, sizesOf } from "./large";
import { Ledger } from "./ledger";
import { Load, type LoadOptions } from "./load";
import { drawn, readsOf } from "./reading";
import { manifestOf, repositoriesOn, type Probed } from "./probed";
import { Skopeo } from "./skopeo";
import { Strength, type Members } from "./strength";
import { VipWatch } from "./vip";

export interface StageOptions {
  readonly instance: Instance;
  readonly access: RegistryAccess;
  /** Runs `pulumi up --refresh`, the one command of docs/runbook.md for what was lost; it must succeed. */
  readonly update: () => Promise<unknown>;
  readonly say: (line: string) => void;
  /** Decides what is pushed, and in what order. */
  readonly seed: string;
  /** How much of it, where not as much as the load does by itself; the largest new layer of a row, in bytes. */
  readonly amount?: Pick<LoadOptions, "workers" | "budget"> & { readonly largest?: number };
}

const PROBE_MS = 150;
const PROBED_BYTES = 64 * 1024;
const PROBE_START_MS = 30_000;
const STRENGTH_SECONDS = 240;

export class Stage {
  readonly probes: Probe[] = [];
  readonly probed: Probed[] = [];
  /** How many pushes were acknowledged when each row began. */
  private readonly rows: number[] = [];
  private stopProbe: () => Promise<void> = () => Promise.resolve();

  private constructor(
    private readonly options: StageOptions,
    readonly members: Members,
    readonly clients: readonly Host[],
    readonly ledger: Ledger,
    readonly load: Load,
    readonly vip: VipWatch,
    readonly strength: Strength,
    readonly etcd: EtcdLoad,
  ) {}

  /** Waits until all is whole, pushes what is probed, and lets the load begin. */
  static async begin(options: StageOptions): Promise<Stage> {
    const { instance, access, seed, amount: { workers, budget } = {} } = options;
    const folder = path.join(instance.dir, "chaos");
    fs.rmSync(folder, { recursive: true, force: true });
    const clients = instance.hosts.filter(({ kind }) => kind === "client");
    const nodes = instance.hosts.filter(({ kind }) => kind === "node").map((host) => ({ instance, host }));
    const ledger = new Ledger(path.join(folder, "ledger.jsonl"));
    const skopeo = Skopeo.prepare(path.join(folder, "skopeo"), access);
    const load = new Load({ clients, skopeo, ledger, folder, seed, workers, budget });
    const members: Members = { nodes, managers: 3, drive: "/var/lib/moorage/data/minio" };
    const strength = new Strength(members);
    const etcd = new EtcdLoad(nodes.slice(0, members.managers));
    const vip = await VipWatch.begin(instance);
    const stage = new Stage(options, members, clients, ledger, load, vip, strength, etcd);
    try {
      await stage.open();
    } catch (error) {
      await stage.end();
      throw error;
    }
    return stage;
  }

  private async open(): Promise<void> {
    let missing: readonly string[] = [];
    const whole = await this.strength.until(STRENGTH_SECONDS, (now) => (missing = now));
    if (whole === undefined) throw new LabError(`the stack is not whole: ${missing.join(", ")}`);
    const [client] = this.clients;
    if (!client) throw new LabError("the lab has no client");
    await this.pushProbed(client);
    // In turn, so that each manifest is asked for as often as the others, and `/v2/` each second time.
    const paths = this.probed.flatMap((one) => ["/v2/", manifestOf(one)]);
    const probing = { login: this.login, paths, everyMs: PROBE_MS };
    this.stopProbe = probe(client, probing, (one) => this.probes.push(one));
    const answered = async (): Promise<true | undefined> =>
      this.probes.some(({ status }) => status === 200) ? true : undefined;
    if (!(await waitFor(answered, PROBE_START_MS))) throw new LabError("the prober gets no answer");
    this.load.start();
  }

  /** One image for each registry: the front asks one of them for all of a repository. */
  private async pushProbed(client: Host): Promise<void> {
    const names = this.members.nodes.map(({ host }) => host.name);
    for (const [node, repository] of repositoriesOn(names)) {
      const entry = await this.load.pushNew(client, PROBED_BYTES, repository);
      if (!entry) throw new LabError(`the first push failed: ${this.load.outcomes.at(-1)?.error ?? ""}`);
      this.probed.push({ node, repository, digest: entry.digest });
    }
  }

  /** Begins a row, and gives what it pushes of new large layers. */
  nextRow(): LargePushes {
    const { amount: { largest = LARGEST } = {} } = this.options;
    const sizes = sizesOf(this.rows.length, largest);
    this.rows.push(this.ledger.entries.length);
    return new LargePushes(this.load, this.clients, sizes);
  }

  /**
   * Reads back what was acknowledged, and gives what is lost or another: all manifests, all small layers and configurations,
   * the large layers of the last rows and some of the others, which are only asked for; or all of it.
   */
  async readBack(how: "after a row" | "at the end" = "after a row"): Promise<string[]> {
    const [, reader] = this.clients;
    if (!reader) throw new LabError("nobody reads back");
    const { entries } = this.ledger;
    const next = numbersOf(`${this.options.seed}/read/${this.rows.length}`);
    const reads = how === "at the end" ? readsOf(entries) : readsOf(entries, drawn(entries, this.rows, next));
    const lost = await readBack(reader, this.login, reads);
    for (const loss of lost.slice(0, 5)) this.say(`    ${loss}`);
    return lost;
  }

  /** Bytes that are left on the fullest data disk. */
  async room(): Promise<number> {
    const left = this.members.nodes.map(async (place) => {
      const { stdout } = await shellIn(place, `df --output=avail -B1 ${await dataFolder(place)} | tail -n 1`);
      return Number(stdout);
    });
    return Math.min(...(await Promise.all(left)));
  }

  get instance(): Instance {
    return this.options.instance;
  }

  get say(): StageOptions["say"] {
    return this.options.say;
  }

  get update(): StageOptions["update"] {
    return this.options.update;
  }

  get login(): Login {
    const { host, caCertificate: ca, username, password } = this.options.access;
    return { host, ca, username, password };
  }

  async end(): Promise<void> {
    await this.stopProbe();
    await this.load.stop();
    await this.vip.stop();
    await this.etcd.clear();
    this.ledger.close();
  }
}
