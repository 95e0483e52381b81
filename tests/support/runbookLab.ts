import { afterEach, beforeAll, expect } from "vitest";
import { faults, type Place } from "../../lab/faults";
import type { Instance } from "../../lab/instance";
import { pushAndPull, type RegistryAccess } from "../../lab/journey/push";
import { pushLayer } from "./blobs";
import { Strength } from "./cluster";
import { takeBack } from "./hurt";
import { openUpload, type Ask, type Known } from "./refusal";
import { request, type Heard } from "./request";
import { follow, type Following } from "./runbook";
import { ask, helloArchive, TestLab } from "./testLab";
import { redsOf, verifyJson } from "./verify";
import { measured, until } from "./waiting";

export const managers = ["coreos1", "coreos2", "coreos3"];
const drive = "/var/lib/moorage/data/minio";
/** Longer than any component waits before it refuses. */
const ASKED_MS = 60_000;
/** For requests that are repeated: one that hangs must not use up all the time. */
const REPEATED_MS = 15_000;
const WHOLE_SECONDS = 900;

/** A lab in which the runbook's tests break one thing after the other. Each test leaves the lab whole. */
export class RunbookLab {
  private opened?: { readonly lab: TestLab; readonly strength: Strength; login: RegistryAccess };

  /** For a file of tests: the lab is whole before them, and is repaired after a failed one. */
  static forFile(repair?: () => Promise<void>): RunbookLab {
    const own = new RunbookLab();
    beforeAll(() => own.open());
    afterEach(async ({ task }) => {
      if (task.result?.state === "fail") await (repair ? repair() : own.mend());
    });
    return own;
  }

  private async open(): Promise<void> {
    const lab = await TestLab.standing();
    const places = lab.nodes.map((host) => ({ instance: lab.instance, host }));
    const strength = new Strength({ nodes: places, managers: managers.length, drive });
    this.opened = { lab, strength, login: await lab.access() };
    await this.whole();
  }

  private get state(): NonNullable<RunbookLab["opened"]> {
    if (!this.opened) throw new Error("the lab is opened before the tests");
    return this.opened;
  }

  get lab(): TestLab {
    return this.state.lab;
  }

  get instance(): Instance {
    return this.lab.instance;
  }

  get places(): readonly Place[] {
    return this.lab.nodes.map(({ name }) => this.place(name));
  }

  get access(): RegistryAccess {
    return this.state.login;
  }

  /** Reads the stack's new keys, CA and passwords. */
  async renewAccess(): Promise<void> {
    this.state.login = await this.lab.recordAccess();
  }

  place(name: string): Place {
    return { instance: this.instance, host: this.lab.host(name) };
  }

  /** The registry answers an authenticated request. */
  async serves(path = "/v2/"): Promise<void> {
    const { username: user, password } = this.access;
    const { status } = await ask(this.lab, this.access, path, { user, password, timeoutMs: 5000 });
    expect(status).toBe(200);
  }

  /** Uploads a random layer. @returns its digest in hexadecimal */
  push(bytes?: number, timeoutMs?: number): Promise<string> {
    return pushLayer(this.lab, this.access, bytes, timeoutMs);
  }

  /** Uploads random layers until one is accepted. @returns its digest in hexadecimal */
  pushesAgain(bytes?: number): Promise<string> {
    return until("a push is accepted", () => this.push(bytes, REPEATED_MS), { netSeconds: 400 });
  }

  /** A layer is pulled to its last byte. @param hex its digest */
  async pulls(hex: string): Promise<void> {
    const [heard] = await this.asksFor(REPEATED_MS)([
      { path: `/v2/demo/layers/blobs/sha256:${hex}`, method: "GET" },
    ]);
    expect(heard?.status, heard?.error).toBe(200);
    expect(heard?.digest).toBe(`sha256:${hex}`);
  }

  pullsAgain(hex: string): Promise<void> {
    return until("a layer is pulled", () => this.pulls(hex), { netSeconds: 600 });
  }

  /** What a client hears for each request: status 0 without an answer. @param ms the timeout of each */
  asksFor(ms: number): Ask {
    return (asked): Promise<Heard[]> => {
      const { username, password, caCertificate: ca } = this.access;
      const login = { host: `127.0.0.1:${this.instance.registryPort}`, ca, username, password };
      return Promise.all(
        asked.map(({ path, method, body }) => request(login, path, ms, method, false, body)),
      );
    };
  }

  /** Runs the commands of a page of docs/runbook.md. @returns their output */
  follow(title: string, following?: Following): Promise<string[]> {
    return follow(this.lab, title, following);
  }

  /** A pushed image and an open upload. */
  async known(): Promise<Known> {
    const digest = await pushAndPull(this.instance, this.access, helloArchive(this.lab));
    const repository = "demo/hello";
    return { repository, digest, upload: await openUpload(repository, this.asksFor(ASKED_MS)) };
  }

  /** Runs `moorage verify` until all these are red. @returns everything that is red */
  seen(...wanted: string[]): Promise<string[]> {
    const looks = async (): Promise<string[]> => {
      const reds = redsOf((await verifyJson(this.lab)).report);
      for (const one of wanted) expect(reds).toContainEqual(expect.stringContaining(one));
      return reds;
    };
    return until("moorage verify is red", looks, { netSeconds: 600 });
  }

  /** The running container of a service on a node; empty if there is none. */
  async containerOf(node: string, service: string): Promise<string> {
    const filter = `--filter status=running --filter label=com.docker.swarm.service.name=${service}`;
    return (await this.lab.mustRoot(node, `docker ps -q ${filter}`)).trim();
  }

  async isActive(node: string, unit: string): Promise<string> {
    return (await this.lab.root(node, `systemctl is-active ${unit}`)).stdout.trim();
  }

  /** Every service runs, every object is on all four drives, and the registry accepts a push. */
  async whole(): Promise<void> {
    let missing: readonly string[] = [];
    const seconds = await this.state.strength.until(WHOLE_SECONDS, (now) => (missing = now));
    if (seconds === undefined) throw new Error(`not whole after ${WHOLE_SECONDS} s: ${missing.join(", ")}`);
    measured(`whole again: ${expect.getState().currentTestName ?? "before the tests"}`, seconds);
    await this.pushesAgain(1000);
  }

  /** The same, and an update would change nothing. */
  async wholeAndUnchanged(): Promise<void> {
    await this.whole();
    expect(await this.lab.plan()).toEqual([]);
  }

  /** Repairs what a failed test has left, or all further tests would fail. */
  async mend(): Promise<void> {
    await takeBack({ fault: "power" }, this.places).catch(() => undefined);
    for (const one of this.places) {
      for (const fault of ["freeze-host", "full-disk", "read-only-disk", "slow-disk", "drop"] as const) {
        await faults[fault].end(one).catch(() => undefined);
      }
      await this.lab.root(one.host.name, "systemctl start docker.socket docker.service");
    }
    await this.lab.mustUp("--refresh");
    await this.whole();
  }
}
