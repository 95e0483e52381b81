import { afterAll, beforeAll } from "vitest";
import { Front, type FrontArgs } from "./front";
import { Upstream } from "./upstream";

export const admin = "admin:root";

export const users = {
  admin: { password: "root", rights: [{ prefix: "", access: "write" as const }] },
  team: { password: "blue", rights: [{ prefix: "team/", access: "write" as const }] },
};

/** Fronts of one stand-in for HAProxy and the registries behind it, for the tests of a file. */
export class Fronts {
  readonly haproxy = new Upstream("haproxy", "127.0.0.2");
  private readonly all: Front[] = [];

  constructor() {
    beforeAll(() => this.haproxy.start());
    afterAll(async () => {
      await Promise.all(this.all.map((front) => front.stop()));
      await this.haproxy.stop();
    });
  }

  /** @param instead texts of the configuration, and what replaces them */
  async start(args: Partial<FrontArgs> = {}, instead: Record<string, string> = {}): Promise<Front> {
    const { host, port } = this.haproxy;
    const front = new Front(users, { haproxies: [{ name: host, port }], ...args }, instead);
    this.all.push(front);
    await front.start();
    // The administrator's password is known from then on.
    await front.ask("/v2/", { user: admin, from: "127.0.0.99" });
    return front;
  }
}
