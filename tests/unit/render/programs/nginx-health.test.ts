import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { once } from "node:events";
import * as https from "node:https";
import type { AddressInfo } from "node:net";
import { nginxHealthTest } from "@moorage/render";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { certificate } from "../../hosts/support/fake-registry";

/** `run` for the script, and `bin` with a sleep that takes no time. */
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-nginx-health-"));
/** What the next answers are; 200 once there are no more. */
let answers: number[];
let questions: (string | undefined)[];
const server = https.createServer(certificate("front"), ({ url }, response) => {
  questions.push(url);
  response.writeHead(answers.shift() ?? 200).end();
});

beforeAll(async () => {
  for (const name of ["bin", "run"]) fs.mkdirSync(path.join(folder, name));
  fs.writeFileSync(path.join(folder, "bin/sleep"), "#!/bin/sh\n", { mode: 0o755 });
  await once(server.listen(0, "127.0.0.1"), "listening");
});
afterAll(() => {
  server.close();
  fs.rmSync(folder, { recursive: true });
});
beforeEach(() => {
  answers = [];
  questions = [];
});

/** The exit code that Docker gets. */
async function check(): Promise<number | null> {
  const { port } = server.address() as AddressInfo;
  const [, command = "", ...rest] = nginxHealthTest(path.join(__dirname, "../../../../render/assets/nginx"));
  const env = {
    PATH: `${path.join(folder, "bin")}:${process.env.PATH}`,
    RUN: path.join(folder, "run"),
    PORT: String(port),
  };
  const [code] = (await once(spawn(command, rest, { env }), "exit")) as [number | null];
  return code;
}

it("reports a new nginx at its first answer, and asks three times more in each later check", async () => {
  answers = [503];
  expect(await check()).toBe(1);
  expect(await check()).toBe(0);
  expect(questions).toEqual(["/healthz", "/healthz"]);
  expect(await check()).toBe(0);
  expect(questions).toHaveLength(2 + 1 + 3);
});

it("ends at the first answer that is not 200", async () => {
  answers = [200, 200, 503];
  expect(await check()).toBe(1);
  expect(questions).toHaveLength(3);
});
