import { spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { httpHealthTest, type HealthTestArgs } from "../../../../render/src/health-test";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

let folder: string;
let server: Server;
let port: number;
/** Statuses by path, of which the last one stays; a path without any is not answered. */
let answers: Record<string, number[]>;
let asked: string[];

beforeEach(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-health-"));
  asked = [];
  server = createServer(({ url = "" }, response) => {
    asked.push(url);
    const [status, ...more] = answers[url] ?? [];
    if (more.length > 0) answers[url] = more;
    if (status !== undefined) response.writeHead(status).end("so it is");
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  port = (server.address() as AddressInfo).port;
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
  fs.rmSync(folder, { recursive: true });
});

/** Time passes when the script sleeps, and only then: half a second each time. */
const clock = {
  sleep: '#!/bin/sh\nread -r now < "$CLOCK"; echo $((now + 1)) > "$CLOCK"\n',
  date: '#!/bin/sh\nread -r now < "$CLOCK"; echo $((now / 2))\n',
};

/** The programs of a small image: a shell's, and one that asks. */
function programs(client: string): string {
  const bin = path.join(folder, `bin-${client}`);
  if (fs.existsSync(bin)) return bin;
  fs.mkdirSync(bin);
  for (const [name, text] of Object.entries(clock))
    fs.writeFileSync(path.join(bin, name), text, { mode: 0o755 });
  for (const name of ["sh", "grep", "sed", "head", "timeout", "cat", client]) {
    const found = (process.env.PATH ?? "")
      .split(":")
      .map((each) => path.join(each, name))
      .find((each) => fs.existsSync(each));
    if (found) fs.symlinkSync(found, path.join(bin, name));
  }
  return bin;
}

/** The exit code that Docker gets. */
async function check(client: string, more: Partial<HealthTestArgs> = {}): Promise<number | null> {
  const args = { port, path: "/work", statuses: [404, 200], laterPath: "/", runPath: folder, ...more };
  const [, command = "", ...rest] = httpHealthTest(args);
  const file = path.join(folder, "clock");
  fs.writeFileSync(file, "0\n");
  const env = { PATH: programs(client), CLOCK: file };
  const [code] = (await once(spawn(command, rest, { env, stdio: "ignore" }), "exit")) as [number | null];
  return code;
}

describe.each(["curl", "wget", "bash"])("Docker's health check of a service by %s", (client) => {
  it("passes a new one once it has done its work", async () => {
    answers = { "/work": [503, 503, 404], "/": [200] };
    expect(await check(client)).toBe(0);
    expect(asked).toEqual(["/work", "/work", "/work"]);
  });

  it("fails a new one that is only alive, once its time is over", async () => {
    answers = { "/work": [500], "/": [200] };
    expect(await check(client, { firstSeconds: 3 })).toBe(1);
    expect(asked).toEqual(Array(7).fill("/work"));
  });

  it("passes one that has worked and is alive, whatever it answers", async () => {
    answers = { "/work": [200], "/": [503] };
    expect([await check(client), await check(client)]).toEqual([0, 0]);
    expect(asked).toEqual(["/work", "/", "/", "/"]);
  });

  it("fails one that has worked and hangs, or is gone", async () => {
    answers = { "/work": [200] };
    expect(await check(client)).toBe(0);
    expect(await check(client, { answerSeconds: 0.3 })).toBe(1);
    expect(asked).toEqual(["/work", "/"]);
    server.closeAllConnections();
    server.close();
    expect(await check(client)).toBe(1);
  });
});
