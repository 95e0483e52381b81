/** The lab that faults are done in: its nodes and clients, the ledger, and whether the cluster is whole. */
import * as fs from "node:fs";
import * as path from "node:path";
import { LabError } from "../../../lab/exec";
import type { Place } from "../../../lab/faults";
import type { Host, Instance } from "../../../lab/instance";
import { Strength } from "../../support/cluster";
import type { Login } from "../../support/request";
import type { TestLab } from "../../support/testLab";
import { holdersOf } from "../../support/vip";
import { Client, type Answer, type Asked } from "./clients";
import { Ledger } from "./ledger";
import { Load, type LoadOptions } from "./load";
import { readBack, readsOf } from "./readBack";
import { Skopeo } from "./skopeo";

const MANAGERS = 3;
const DRIVE = "/var/lib/moorage/data/minio";
const WHOLE_SECONDS = 240;
const PROBED_BYTES = 64 * 1024;
/** So many that each registry has some. */
const PROBED_REPOSITORIES = 12;
const READ_MS = 30_000;

export class Stage {
  readonly nodes: readonly Place[];
  readonly clients: readonly Host[];
  readonly ledger: Ledger;
  /** Manifests of repositories on all registries. */
  readonly manifests: string[] = [];
  /** Nodes that are hurt now. */
  hurt: readonly string[] = [];
  private readonly folder: string;
  private readonly strength: Strength;
  private access?: { readonly login: Login; readonly skopeo: Skopeo; readonly client: Client };

  private constructor(
    readonly lab: TestLab,
    readonly seed: string,
    readonly say: (line: string) => void,
  ) {
    const { instance } = lab;
    this.nodes = lab.nodes.map((host) => ({ instance, host }));
    this.clients = instance.hosts.filter(({ kind }) => kind === "client");
    this.strength = new Strength({ nodes: this.nodes, managers: MANAGERS, drive: DRIVE });
    this.folder = path.join(instance.dir, "proof");
    fs.rmSync(path.join(this.folder, "images"), { recursive: true, force: true });
    fs.mkdirSync(path.join(this.folder, "images"), { recursive: true });
    this.ledger = new Ledger(path.join(this.folder, "ledger.jsonl"));
  }

  /** Waits until the cluster is whole, and pushes what is probed. */
  static async begin(lab: TestLab, seed: string, say: (line: string) => void): Promise<Stage> {
    const stage = new Stage(lab, seed, say);
    try {
      await stage.renewAccess();
      if (!(await stage.isWhole(WHOLE_SECONDS))) await stage.restore();
      await stage.pushProbed();
    } catch (error) {
      stage.end();
      throw error;
    }
    return stage;
  }

  /** Reads the stack's passwords and CA again. Pushes are the admin's, pulls the reader's. */
  async renewAccess(): Promise<void> {
    const { host, caCertificate: ca, username, password } = await this.lab.access();
    const { reader = "" } = (await this.lab.outputs()).passwords as Record<string, string>;
    const login: Login = { host, ca, username, password };
    const pulls: Login = { ...login, username: "reader", password: reader };
    const client = this.clients.at(-1);
    if (!client) throw new LabError("the lab has no client");
    this.access?.client.end();
    const skopeo = new Skopeo(path.join(this.folder, "skopeo"), { pushes: login, pulls });
    this.access = { login, skopeo, client: new Client(client, login) };
  }

  /** Of the user who pushes. */
  get login(): Login {
    return this.opened.login;
  }

  get instance(): Instance {
    return this.lab.instance;
  }

  get managers(): readonly Place[] {
    return this.nodes.slice(0, MANAGERS);
  }

  load(options: Pick<LoadOptions, "id" | "afterPush">): Load {
    const { clients, ledger, seed } = this;
    const folder = path.join(this.folder, "images");
    return new Load({ clients, ledger, seed, folder, skopeo: this.opened.skopeo, ...options });
  }

  /** A request from a client host, with a new connection unless said otherwise. */
  ask(asked: Omit<Asked, "id">): Promise<Answer> {
    return this.opened.client.ask(asked);
  }

  /** An edge node that is not hurt and does not hold the VIP, as `ADDRESS:PORT`. @param share from 0 to 1 */
  async otherEdge(share: number): Promise<string | undefined> {
    const holders = await holdersOf(this.instance).catch(() => []);
    const others = this.nodes.filter(({ host }) => ![...holders, ...this.hurt].includes(host.name));
    const other = others[Math.floor(share * others.length)];
    const port = new URL(`https://${this.opened.login.host}`).port || "443";
    return other && `${other.host.address}:${port}`;
  }

  /** Whether nothing is missing within some seconds. */
  async isWhole(seconds: number): Promise<boolean> {
    let before: readonly string[] = [];
    const onMissing = (missing: readonly string[]): void => {
      if (missing.join() !== before.join()) this.say(`    missing: ${missing.join(", ") || "nothing"}`);
      before = missing;
    };
    return (await this.strength.until(seconds, onMissing)) !== undefined;
  }

  /** @throws LabError if the cluster is not whole after an update either */
  async restore(): Promise<void> {
    this.say("    not whole: pulumi up --refresh");
    await this.lab.mustUp("--refresh");
    if (!(await this.isWhole(WHOLE_SECONDS))) throw new LabError("the cluster is not whole after an update");
  }

  /** Reads back all that was acknowledged. @param since large layers before this entry are not read @default 0 */
  async readBack(since = 0): Promise<string[]> {
    const lost = await readBack(readsOf(this.ledger, since), ({ path: target, method }) =>
      this.ask({ path: target, method, timeoutMs: READ_MS, kept: true }),
    );
    for (const loss of lost.slice(0, 5)) this.say(`    ${loss}`);
    return lost;
  }

  end(): void {
    this.access?.client.end();
    this.ledger.close();
  }

  private get opened(): NonNullable<Stage["access"]> {
    if (!this.access) throw new LabError("nothing is known yet of the registry");
    return this.access;
  }

  private async pushProbed(): Promise<void> {
    const [client] = this.clients;
    if (!client) throw new LabError("the lab has no client");
    const id = `probed-${Date.now().toString(36)}`;
    const load = this.load({ id, afterPush: () => Promise.resolve() });
    for (let number = 0; number < PROBED_REPOSITORIES; number++) {
      const repository = `public/probed-${number}`;
      if (!(await load.push(client, { repository, tag: id, sizes: [PROBED_BYTES] })))
        throw new LabError(`the first push failed: ${load.outcomes.at(-1)?.error ?? ""}`);
      this.manifests.push(`/v2/${repository}/manifests/${this.ledger.entries.at(-1)?.digest}`);
    }
  }
}
