import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll } from "vitest";
import { NameServer } from "./dns";
import { Front } from "./front";
import { Upstream } from "./upstream";

export const admin = "admin:root";

export const users = {
  admin: { password: "root", rights: [{ prefix: "", access: "write" as const }] },
  team: { password: "blue", rights: [{ prefix: "team/", access: "write" as const }] },
};

/** Fronts of one registry, for the tests of a file. */
export class Fronts {
  readonly registry: Upstream;
  private names: NameServer | undefined;
  private readonly all: Front[] = [];

  /**
   * @param firstPort of its fronts
   * @param address of the registry, on loopback
   */
  constructor(
    private readonly firstPort: number,
    private readonly address: string,
  ) {
    this.registry = new Upstream("registry", address, 25000);
    beforeAll(async () => {
      this.names = await NameServer.start();
      this.names.names.set("registry", address);
      await this.registry.start();
    });
    afterAll(async () => {
      await Promise.all(this.all.map((front) => front.stop()));
      await this.registry.stop();
      this.names?.stop();
    });
  }

  /** A front that has found its registry. @param instead replaces text of its configuration */
  async start(
    args: Partial<ConstructorParameters<typeof Front>[2]> = {},
    instead: Record<string, string> = {},
  ): Promise<Front> {
    const registries = [{ name: "registry", port: 25000 }];
    const given = { registries, resolver: this.names?.address, ...args };
    const front = new Front(this.firstPort + this.all.length, users, given, instead);
    this.all.push(front);
    await front.start();
    for (let tries = 0; tries < 100; tries++) {
      if ((await front.ask("/v2/", { user: admin, from: "127.0.0.99" })).status === 200) return front;
      await sleep(50);
    }
    throw new Error(`the front does not find its registry:\n${front.log}`);
  }
}
