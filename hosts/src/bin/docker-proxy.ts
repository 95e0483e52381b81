/**
 * OpenSSH's ProxyCommand: `node docker-proxy.js --stack organization/project/stack`. Joins standard input and
 * output to the stack's proxy, which the first of them starts.
 */
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as net from "node:net";
import * as path from "node:path";
import { parseArgs } from "node:util";
import { errorFile, socketOf } from "../proxy/socket";

/** Longest time until a proxy serves or has said why it does not: state read, managers tried twice. */
const START_MS = 40_000;
const RETRY_MS = 50;
/** A failure this fresh is not tried again: every resource of an update asks. */
const FRESH_MS = 5_000;

function connect(socket: string): Promise<net.Socket | undefined> {
  return new Promise((resolve) => {
    const connection = net.connect(socket);
    connection.once("connect", () => resolve(connection));
    connection.once("error", () => resolve(undefined));
  });
}

const age = (file: string): number => {
  const found = fs.statSync(file, { throwIfNoEntry: false });
  return found ? Date.now() - found.mtimeMs : Infinity;
};

/** One process starts the proxy, whichever makes the file first. */
function startOnce(stack: string, socket: string): void {
  const mark = `${socket}.starting`;
  if (age(mark) > START_MS) fs.rmSync(mark, { force: true });
  try {
    fs.closeSync(fs.openSync(mark, "wx", 0o600));
  } catch {
    return;
  }
  fs.rmSync(errorFile(socket), { force: true });
  const script = path.join(__dirname, "docker-proxy-server.js");
  const child = spawn(process.execPath, [script, "--stack", stack, "--socket", socket], {
    detached: true,
    stdio: "ignore",
  });
  child.unref();
}

async function connected(stack: string, socket: string): Promise<net.Socket> {
  const end = Date.now() + START_MS;
  while (Date.now() < end) {
    const connection = await connect(socket);
    if (connection) return connection;
    if (age(errorFile(socket)) < FRESH_MS) throw new Error(fs.readFileSync(errorFile(socket), "utf8"));
    startOnce(stack, socket);
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
  throw new Error("the proxy to the Swarm did not start in time");
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { stack: { type: "string" } } });
  if (values.stack === undefined) throw new Error("--stack is missing");
  const connection = await connected(values.stack, socketOf(values.stack));
  process.stdin.pipe(connection).pipe(process.stdout);
  connection.on("close", () => process.exit(0));
}

main().catch((error: unknown) => {
  process.stderr.write(`moorage: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
