import { spawn, type ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import * as https from "node:https";
import type { AddressInfo } from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { renderFrontWatch } from "@moorage/render";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { until } from "../../support/waiting";
import { certificate } from "../../unit/hosts/support/fake-registry";

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-watch-"));
const script = path.join(folder, "watch-front");
const own = path.join(folder, "bin");

let server: https.Server;
let asked: { url?: string; at: number; connection: number }[];
let status: number;
let connections = 0;

beforeAll(async () => {
  server = https.createServer(certificate("front"), (request, response) => {
    asked.push({ url: request.url, at: Date.now(), connection: connections });
    if (status > 0) response.writeHead(status).end();
  });
  server.on("secureConnection", () => connections++);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const text = renderFrontWatch({ port, peers: [], witnesses: [], seenFolder: folder });
  fs.writeFileSync(script, text, { mode: 0o755 });
  fs.mkdirSync(own);
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
  fs.rmSync(folder, { recursive: true });
});

let watch: ChildProcess | undefined;
beforeEach(() => {
  asked = [];
  status = 200;
});
afterEach(() => {
  if (watch?.pid !== undefined && watch.exitCode === null) process.kill(-watch.pid, "SIGKILL");
  fs.rmSync(path.join(folder, "seen-front"), { force: true });
  fs.rmSync(path.join(own, "curl"), { force: true });
});

/** A group of its own, as curl outlives the script that is killed. */
function begin(what: string): ChildProcess {
  const env = { ...process.env, PATH: `${own}:${process.env.PATH ?? ""}` };
  return (watch = spawn(script, [what], { detached: true, stdio: "ignore", env }));
}

const ended = (child: ChildProcess): Promise<number | null> =>
  new Promise((resolve) => child.on("exit", (code) => resolve(code)));

const noted = (): string => {
  const file = path.join(folder, "seen-front");
  return fs.existsSync(file) ? fs.readFileSync(file, "utf8") : "";
};

describe("the watch of a front", () => {
  it("asks twice each second, by one curl and a new connection each time, and notes when it was told what", async () => {
    begin("front");
    await until("it shows that", () => expect(asked.length).toBeGreaterThan(5));
    expect(asked[0]?.url).toMatch(/^\/healthz\?1$/);
    expect(asked[5]?.url).toMatch(/^\/healthz\?6$/);
    expect(new Set(asked.map(({ connection }) => connection)).size).toBe(asked.length);
    expect((asked[5]?.at ?? 0) - (asked[0]?.at ?? 0)).toBeGreaterThan(2000);
    await until("it shows that", () => expect(noted()).toMatch(/^(\d+\.\d\d) 200 \1\n$/));
    const up = Number(fs.readFileSync("/proc/uptime", "utf8").split(" ")[0]);
    expect(up - Number(noted().split(" ")[0])).toBeLessThan(5);
  });

  it.each([
    ["refuses", 503, "503"],
    ["hangs", 0, "000"],
  ])("notes that it %s, with when it was well, and that it is again", async (_, bad, code) => {
    begin("front");
    await until("it shows that", () => expect(noted()).toContain(" 200"));
    status = bad;
    await until("it shows that", () => expect(noted()).toContain(` ${code} `));
    const [at, , well] = noted().split(" ").map(Number);
    expect(Number(at)).toBeGreaterThan(Number(well));
    status = 200;
    await until("it shows that", () => expect(noted()).toContain(" 200"));
  });

  it("ends where curl cannot stay, and leaves all to the check", async () => {
    fs.writeFileSync(
      path.join(own, "curl"),
      "#!/bin/sh\necho 'curl: option --rate: is unknown' >&2; exit 2\n",
      {
        mode: 0o755,
      },
    );
    expect(await ended(begin("front"))).toBe(1);
    fs.writeFileSync(path.join(own, "curl"), "#!/bin/sh\nexit 2\n");
    expect(await ended(begin("front"))).toBe(1);
    expect(noted()).toBe("");
  });

  it("begins anew with what its file says by then", async () => {
    const few = path.join(folder, "few");
    fs.writeFileSync(few, fs.readFileSync(script, "utf8").replace("[1-600]", "[1-2]"), { mode: 0o755 });
    watch = spawn(few, ["front"], { detached: true, stdio: "ignore" });
    await until("it shows that", () => expect(asked.length).toBeGreaterThan(0));
    const other = path.join(folder, "other");
    fs.writeFileSync(other, fs.readFileSync(few, "utf8").replace("[1-2]", "[7-8]"), { mode: 0o755 });
    fs.renameSync(other, few);
    await until("it shows that", () => expect(asked.length).toBeGreaterThan(3));
    expect(asked.map(({ url }) => url).slice(0, 4)).toEqual([1, 2, 7, 8].map((each) => `/healthz?${each}`));
  });

  it("asks no witness where there is none", async () => {
    expect(await ended(begin("witness"))).toBe(0);
    expect(asked).toEqual([]);
  });
});
