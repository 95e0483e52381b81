import { once } from "node:events";
import * as fs from "node:fs";
import { expect, it } from "vitest";
import { until } from "../../../support/waiting";
import { Front } from "./front";
import { users } from "./fronts";

const haproxies = [{ name: "127.0.0.2", port: 1 }];

it("on its way out, nginx is unhealthy first, so that the VIP leaves, and serves until it is gone", async () => {
  const leaving = new Front(users, { haproxies });
  // It sleeps until there is a file, and then no longer.
  const over = leaving.at("over");
  try {
    const child = await leaving.startAsInContainer(`while [ ! -e ${over} ]; do /bin/sleep 0.05; done`);
    const ended = once(child, "exit");
    child.kill("SIGQUIT");
    await until("it says that it is not healthy", async () =>
      expect((await leaving.ask("/healthz")).status).toBe(503),
    );
    // A second signal does not shorten its time.
    child.kill("SIGTERM");
    expect((await leaving.ask("/v2/")).status).toBe(401);
    expect(child.exitCode).toBeNull();
    fs.writeFileSync(over, "");
    expect(await ended).toEqual([0, null]);
    await expect(leaving.ask("/v2/")).rejects.toThrow("ECONNREFUSED");
  } finally {
    fs.writeFileSync(over, "");
    await leaving.stop();
  }
});

it("its container ends with nginx where that ends by itself", async () => {
  const broken = new Front(users, { haproxies }, { "events {": "evens {" });
  try {
    await expect(broken.startAsInContainer()).rejects.toThrow("nginx ended");
  } finally {
    await broken.stop();
  }
});
