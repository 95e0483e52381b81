import { spawn } from "node:child_process";
import * as fs from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { httpHealthTest } from "../../../../render/src/health-test";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

let folder: string;
let server: Server;
/** Status by path; a path without one is never answered. */
let answers: Record<string, number>;
const asked: string[] = [];

beforeEach(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-health-"));
  asked.length = 0;
  answers = {};
  server = createServer(({ url = "" }, response) => {
    asked.push(url);
    const status = answers[url];
    if (status !== undefined) response.writeHead(status).end("so it is");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
  fs.rmSync(folder, { recursive: true });
});

/** The programs of a small image: a shell's, and one that asks. */
const needed = ["sh", "grep", "sed", "head", "date", "sleep", "timeout", "cat"];

function programs(client: string): string {
  const bin = path.join(folder, `bin-${client}`);
  if (fs.existsSync(bin)) return bin;
  fs.mkdirSync(bin);
  for (const name of [...needed, client]) {
    const found = (process.env["PATH"] ?? "")
      .split(":")
      .map((each) => path.join(each, name))
      .find((each) => fs.existsSync(each));
    if (found) fs.symlinkSync(found, path.join(bin, name));
  }
  return bin;
}

/** What Docker is told. */
function look(client = "curl"): Promise<unknown> {
  const [, command = "", ...rest] = httpHealthTest({
    port: (server.address() as AddressInfo).port,
    path: "/work",
    statuses: [404, 200],
    laterPath: "/",
    runPath: folder,
    firstSeconds: 2,
    pauseSeconds: 1,
  });
  return new Promise((resolve) =>
    spawn(command, rest, { env: { PATH: programs(client) }, stdio: "ignore" }).on("exit", resolve),
  );
}

describe.each(["curl", "wget", "bash"])("Docker's look at a service by %s", (client) => {
  it("takes one that is new once it has done its work", async () => {
    answers = { "/work": 503, "/": 200 };
    const begun = look(client);
    await new Promise((resolve) => setTimeout(resolve, 700));
    answers["/work"] = 404;
    expect(await begun).toBe(0);
    expect(new Set(asked)).toEqual(new Set(["/work"]));
    expect(asked.length).toBeGreaterThan(1);
  });

  it("does not take one that is new and only alive", async () => {
    answers = { "/work": 500, "/": 200 };
    expect(await look(client)).toBe(1);
  });

  it("takes one that has worked and is alive, whatever it says", async () => {
    answers = { "/work": 200 };
    expect(await look(client)).toBe(0);
    answers = { "/": 503 };
    asked.length = 0;
    expect(await look(client)).toBe(0);
    expect(asked).toEqual(["/", "/", "/"]);
  });

  it("does not take one that has worked and hangs, or is gone", async () => {
    answers = { "/work": 200 };
    expect(await look(client)).toBe(0);
    answers = {};
    asked.length = 0;
    expect(await look(client)).toBe(1);
    expect(asked).toEqual(["/"]);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }, 15_000);
});
