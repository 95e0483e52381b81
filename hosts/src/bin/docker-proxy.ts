/**
 * OpenSSH's ProxyCommand: `node docker-proxy.js --stack organization/project/stack`. Joins standard input and
 * output to the stack's proxy, which the first of them starts.
 */
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as net from "node:net";
import * as path from "node:path";
import { parseArgs } from "node:util";
import { START_MS, passMark, removeMark, takeMark } from "../proxy/mark";
import { errorFile, socketOf } from "../proxy/socket";

const RETRY_MS = 50;
/** A failure this fresh is not tried again: every resource of an update asks. */
const FRESH_MS = 5_000;

/**
 * A connection on which the proxy has said its first word; undefined where there is none. Nothing is sent before,
 * so another can be tried when a proxy that is just ending closes it.
 */
function connect(socket: string, timeoutMs: number): Promise<net.Socket | undefined> {
  return new Promise((resolve) => {
    const connection = net.connect(socket);
    const timer = setTimeout(() => connection.destroy(), timeoutMs);
    connection.once("data", (word) => {
      clearTimeout(timer);
      connection.pause();
      connection.unshift(word);
      resolve(connection);
    });
    connection.on("error", () => undefined);
    connection.once("close", () => {
      clearTimeout(timer);
      resolve(undefined);
    });
  });
}

/** @throws what kept the proxy from serving, a moment ago */
function checkFailure(socket: string): void {
  const file = errorFile(socket);
  const found = fs.statSync(file, { throwIfNoEntry: false });
  if (found && Date.now() - found.mtimeMs < FRESH_MS) throw new Error(fs.readFileSync(file, "utf8"));
}

/** Starts the proxy, unless another process is at it, or one has begun to serve or failed since it was looked for. */
async function startOnce(stack: string, socket: string, end: number): Promise<net.Socket | undefined> {
  if (!takeMark(socket)) return undefined;
  let started = false;
  try {
    const connection = await connect(socket, end - Date.now());
    if (connection) return connection;
    checkFailure(socket);
    const script = path.join(__dirname, "docker-proxy-server.js");
    const { pid } = spawn(process.execPath, [script, "--stack", stack, "--socket", socket], {
      detached: true,
      stdio: "ignore",
    });
    if (pid === undefined) throw new Error("the proxy to the Swarm cannot be started");
    passMark(socket, pid);
    started = true;
    return undefined;
  } finally {
    if (!started) removeMark(socket);
  }
}

async function connected(stack: string, socket: string): Promise<net.Socket> {
  const end = Date.now() + START_MS;
  while (Date.now() < end) {
    const connection = await connect(socket, end - Date.now());
    if (connection) return connection;
    checkFailure(socket);
    const started = await startOnce(stack, socket, end);
    if (started) return started;
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
  throw new Error("the proxy to the Swarm did not start in time");
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { stack: { type: "string" } } });
  if (values.stack === undefined) throw new Error("--stack is missing");
  const connection = await connected(values.stack, socketOf(values.stack));
  connection.on("close", () => process.exit(0));
  process.stdin.pipe(connection).pipe(process.stdout);
}

main().catch((error: unknown) => {
  process.stderr.write(`moorage: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
