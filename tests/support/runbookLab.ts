import { expect } from "vitest";
import { faults, type Place } from "../../lab/faults";
import type { RegistryAccess } from "../../lab/journey/push";
import { takeBack } from "../chaos/hurt";
import { Strength } from "../chaos/strength";
import { pushLayer } from "./blobs";
import { ask, eventually, TestLab } from "./testLab";

export const managers = ["coreos1", "coreos2", "coreos3"];
const drive = "/var/lib/moorage/data/minio";

/** A lab in which the runbook's tests break one thing after the other, each of which leaves it whole. */
export class RunbookLab {
  readonly places: readonly Place[];
  private readonly strength: Strength;

  private constructor(
    readonly lab: TestLab,
    private login: RegistryAccess,
  ) {
    this.places = lab.nodes.map((host) => ({ instance: lab.instance, host }));
    this.strength = new Strength({ nodes: this.places, managers: managers.length, drive });
  }

  /** The lab that stands, once it is whole. */
  static async whole(): Promise<RunbookLab> {
    const lab = await TestLab.standing();
    const own = new RunbookLab(lab, await lab.access());
    await own.whole();
    return own;
  }

  get access(): RegistryAccess {
    return this.login;
  }

  /** Takes up the stack's new keys, authority and passwords. */
  async renewAccess(): Promise<void> {
    this.login = await this.lab.recordAccess();
  }

  place(name: string): Place {
    return { instance: this.lab.instance, host: this.lab.host(name) };
  }

  /** The registry answers an authenticated request. */
  async serves(path = "/v2/"): Promise<void> {
    const { username: user, password } = this.access;
    const { status } = await ask(this.lab, this.access, path, { user, password, timeoutMs: 5000 });
    expect(status).toBe(200);
  }

  /** Uploads a layer that nobody has pushed before, and gives back its digest in hexadecimal. */
  push(bytes?: number): Promise<string> {
    return pushLayer(this.lab, this.access, bytes);
  }

  /** All that should run does, every object is on all four drives, and the registry takes a push. */
  async whole(seconds = 240): Promise<void> {
    let missing: readonly string[] = [];
    const took = await this.strength.until(seconds, (now) => (missing = now));
    if (took === undefined) throw new Error(`not whole after ${seconds} s: ${missing.join(", ")}`);
    await eventually(120, async () => void (await this.push(1000)));
  }

  /** What a test that failed has left broken would fail all that follow. */
  async mend(): Promise<void> {
    await takeBack({ fault: "power", role: "minio" }, this.places).catch(() => undefined);
    for (const one of this.places) {
      for (const fault of ["full-disk", "read-only-disk", "slow-disk", "drop"] as const) {
        await faults[fault].end(one).catch(() => undefined);
      }
      await this.lab.root(one.host.name, "systemctl start docker.socket docker.service");
    }
    await this.lab.mustUp("--refresh");
    await this.whole(400);
  }
}
