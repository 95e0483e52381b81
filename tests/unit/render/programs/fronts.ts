import { afterAll, beforeAll, expect } from "vitest";
import { until } from "../../../support/waiting";
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
  readonly registry = new Upstream("registry", "127.0.0.2");
  private names: NameServer | undefined;
  private readonly all: Front[] = [];

  constructor() {
    beforeAll(async () => {
      this.names = await NameServer.start();
      this.names.names.set("registry", this.registry.host);
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
    args: Partial<ConstructorParameters<typeof Front>[1]> = {},
    instead: Record<string, string> = {},
  ): Promise<Front> {
    const registries = [{ name: "registry", port: this.registry.port }];
    const front = new Front(users, { registries, resolver: this.names?.address, ...args }, instead);
    this.all.push(front);
    await front.start();
    await until("the front finds its registry", async () => {
      expect((await front.ask("/v2/", { user: admin, from: "127.0.0.99" })).status, front.log).toBe(200);
    });
    return front;
  }
}
