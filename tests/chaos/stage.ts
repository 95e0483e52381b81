/** Everything that goes on while faults are done: the load, the prober, and the count of the VIP's holders. */
import * as fs from "node:fs";
import * as path from "node:path";
import { LabError, waitFor } from "../../lab/exec";
import type { Host, Instance } from "../../lab/instance";
import type { RegistryAccess } from "../../lab/journey/push";
import { probe } from "./clients";
import type { Probe } from "./client/probe";
import type { Login } from "./client/request";
import { Ledger } from "./ledger";
import { Load, type LoadOptions } from "./load";
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
  /** How much of it, where not as much as the load does by itself. */
  readonly amount?: Pick<LoadOptions, "workers" | "budget">;
}

const PROBE_MS = 150;
const PROBE_START_MS = 30_000;
const STRENGTH_SECONDS = 240;

export class Stage {
  readonly probes: Probe[] = [];
  private stopProbe: () => Promise<void> = () => Promise.resolve();

  private constructor(
    private readonly options: StageOptions,
    readonly members: Members,
    readonly clients: readonly Host[],
    readonly ledger: Ledger,
    readonly load: Load,
    readonly vip: VipWatch,
    readonly strength: Strength,
  ) {}

  /** Waits until all is whole, pushes the first image, and lets the load begin. */
  static async begin(options: StageOptions): Promise<Stage> {
    const { instance, access, seed, amount } = options;
    const folder = path.join(instance.dir, "chaos");
    fs.rmSync(folder, { recursive: true, force: true });
    const clients = instance.hosts.filter(({ kind }) => kind === "client");
    const nodes = instance.hosts.filter(({ kind }) => kind === "node").map((host) => ({ instance, host }));
    const ledger = new Ledger(path.join(folder, "ledger.jsonl"));
    const skopeo = Skopeo.prepare(path.join(folder, "skopeo"), access);
    const load = new Load({ clients, skopeo, ledger, folder, seed, ...amount });
    const members: Members = { nodes, managers: 3, drive: "/var/lib/moorage/data/minio" };
    const strength = new Strength(members);
    const stage = new Stage(options, members, clients, ledger, load, new VipWatch(instance), strength);
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
    await this.load.push(client);
    if (this.ledger.entries.length === 0)
      throw new LabError(`the first push failed: ${this.load.outcomes.at(-1)?.error ?? ""}`);
    const { repository, digest } = this.probed;
    const paths = ["/v2/", `/v2/${repository}/manifests/${digest}`];
    const probing = { login: this.login, paths, everyMs: PROBE_MS };
    this.stopProbe = probe(client, probing, (one) => this.probes.push(one));
    const answered = async (): Promise<true | undefined> =>
      this.probes.some(({ status }) => status === 200) ? true : undefined;
    if (!(await waitFor(answered, PROBE_START_MS))) throw new LabError("the prober gets no answer");
    this.load.start();
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

  /** The image whose manifest the prober asks for. */
  get probed(): { readonly repository: string; readonly digest: string } {
    const [first] = this.ledger.entries;
    return first ?? { repository: "", digest: "" };
  }

  async end(): Promise<void> {
    await this.stopProbe();
    await this.load.stop();
    this.vip.stop();
    this.ledger.close();
  }
}
