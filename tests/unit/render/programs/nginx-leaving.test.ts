import { once } from "node:events";
import * as fs from "node:fs";
import * as path from "node:path";
import { expect, it } from "vitest";
import { until } from "../../../support/waiting";
import { Front } from "./front";
import { users } from "./fronts";

const registries = [{ name: "registry", port: 1 }];

it("on its way out, nginx is unhealthy first, so that the VIP leaves, and serves until it is gone", async () => {
  const leaving = new Front(users, { registries });
  // It sleeps until there is a file, and then no longer.
  const [bin, over] = ["bin", "over"].map((name) => path.join(leaving.folder, name)) as [string, string];
  fs.mkdirSync(bin);
  const sleep = `#!/bin/sh\nwhile [ ! -e ${over} ]; do /bin/sleep 0.05; done\n`;
  fs.writeFileSync(path.join(bin, "sleep"), sleep, { mode: 0o755 });
  try {
    const child = await leaving.startAsInContainer(`${bin}:${process.env.PATH}`);
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
  const broken = new Front(users, { registries }, { "events {": "evens {" });
  try {
    await expect(broken.startAsInContainer()).rejects.toThrow("nginx ended");
  } finally {
    await broken.stop();
  }
});
