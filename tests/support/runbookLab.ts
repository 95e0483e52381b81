import { expect } from "vitest";
import { faults, type Place } from "../../lab/faults";
import { pushAndPull, type RegistryAccess } from "../../lab/journey/push";
import { request, type Heard } from "../chaos/client/request";
import { takeBack } from "../chaos/hurt";
import { openUpload, type Ask, type Known } from "../chaos/refusal";
import { Strength } from "../chaos/strength";
import { pushLayer } from "./blobs";
import { ask, eventually, helloArchive, TestLab } from "./testLab";
import { redsOf, verifyJson } from "./verify";

export const managers = ["coreos1", "coreos2", "coreos3"];
const drive = "/var/lib/moorage/data/minio";
/** Longer than anything waits before it refuses. */
const ASKED_MS = 60_000;
/** Of what is asked for again and again for a minute: one that hangs must not be all that was asked. */
const ONE_OF_MANY_MS = 15_000;

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

  /** Pushes until one is taken. */
  async pushesWithin(seconds: number): Promise<void> {
    await eventually(
      seconds,
      async () => void (await pushLayer(this.lab, this.access, undefined, ONE_OF_MANY_MS)),
    );
  }

  /** A layer is pulled, to its last byte. @param hex its digest */
  async pulls(hex: string): Promise<void> {
    const [heard] = await this.asksFor(ONE_OF_MANY_MS)([
      { path: `/v2/demo/layers/blobs/sha256:${hex}`, method: "GET" },
    ]);
    expect(heard?.status, heard?.error).toBe(200);
    expect(heard?.digest).toBe(`sha256:${hex}`);
  }

  /** What a client hears of each request; nobody's answer has status 0. @param ms how long it waits for one */
  asksFor(ms: number): Ask {
    return (asked): Promise<Heard[]> => {
      const { username, password, caCertificate: ca } = this.access;
      const login = { host: `127.0.0.1:${this.lab.instance.registryPort}`, ca, username, password };
      return Promise.all(
        asked.map(({ path, method, body }) => request(login, path, ms, method, false, body)),
      );
    };
  }

  /** An image that was pushed, and an upload that is open. */
  async known(): Promise<Known> {
    const digest = await pushAndPull(this.lab.instance, this.access, helloArchive(this.lab));
    const repository = "demo/hello";
    return { repository, digest, upload: await openUpload(repository, this.asksFor(ASKED_MS)) };
  }

  /** Verifies until all of that is red, and gives back all that is. */
  async seen(...wanted: string[]): Promise<string[]> {
    let reds: string[] = [];
    await eventually(180, async () => {
      reds = redsOf((await verifyJson(this.lab)).report);
      for (const one of wanted) expect(reds).toContainEqual(expect.stringContaining(one));
    });
    return reds;
  }

  /** The container of a service that runs on a node; nothing where none does. */
  async containerOf(node: string, service: string): Promise<string> {
    const filter = `--filter status=running --filter label=com.docker.swarm.service.name=${service}`;
    return (await this.lab.mustRoot(node, `docker ps -q ${filter}`)).trim();
  }

  async isActive(node: string, unit: string): Promise<string> {
    return (await this.lab.root(node, `systemctl is-active ${unit}`)).stdout.trim();
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
      for (const fault of ["freeze-host", "full-disk", "read-only-disk", "slow-disk", "drop"] as const) {
        await faults[fault].end(one).catch(() => undefined);
      }
      await this.lab.root(one.host.name, "systemctl start docker.socket docker.service");
    }
    await this.lab.mustUp("--refresh");
    await this.whole(400);
  }
}
