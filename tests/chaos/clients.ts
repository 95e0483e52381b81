/** Programs that run on the lab's clients: in their networks, with this machine's files. */
import { spawn, type ChildProcessByStdio } from "node:child_process";
import * as path from "node:path";
import type { Readable, Writable } from "node:stream";
import { LabError } from "../../lab/exec";
import { checkout, type Host } from "../../lab/instance";
import type { Once } from "./client/once";
import type { Probe, Probing } from "./client/probe";
import type { Reading } from "./client/readBack";
import type { Heard, Login } from "./client/request";
import type { Read } from "./reading";

type Program = ChildProcessByStdio<Writable, Readable, null>;

function start(client: Host, program: string, input: unknown, onLine: (line: unknown) => void): Program {
  const script = path.join(checkout(), "tests", "chaos", "client", `${program}.ts`);
  const node = [process.execPath, "--import", "tsx", script];
  const child = spawn("ip", ["netns", "exec", client.netns, ...node], {
    cwd: checkout(),
    stdio: ["pipe", "pipe", "inherit"],
  });
  let rest = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) onLine(JSON.parse(line));
  });
  child.stdin.on("error", () => undefined);
  child.stdin.end(JSON.stringify(input));
  return child;
}

const ended = (child: Program): Promise<number> =>
  new Promise((resolve, reject) => {
    child.once("error", (error) => reject(new LabError(`cannot run ip: ${error.message}`)));
    child.once("close", (code) => resolve(code ?? 137));
  });

/** Probes from a client until the function that comes back is called. */
export function probe(client: Host, probing: Probing, onProbe: (probe: Probe) => void): () => Promise<void> {
  const child = start(client, "probe", probing, (line) => onProbe(line as Probe));
  const over = ended(child);
  return async () => {
    child.kill("SIGKILL");
    await over;
  };
}

/** Reads all of it back, and gives back what is lost or another. */
export async function readBack(
  client: Host,
  login: Login,
  reads: readonly (readonly Read[])[],
): Promise<string[]> {
  const said: unknown[] = [];
  const reading: Reading = { login, reads };
  const code = await ended(start(client, "readBack", reading, (line) => said.push(line)));
  if (said.at(-1) !== "done") throw new LabError(`reading back ended half way, with exit code ${code}`);
  return said.slice(0, -1).map(String);
}

/** Requests from a client, all at once. */
export async function askAll(client: Host, asked: readonly Once[]): Promise<Heard[]> {
  const said: unknown[] = [];
  const code = await ended(start(client, "once", asked, (line) => said.push(line)));
  if (said.length !== asked.length) throw new LabError(`asking ended with exit code ${code}`);
  return said as Heard[];
}

/** One request from a client. */
export async function askOnce(client: Host, once: Once): Promise<Heard> {
  const [heard] = await askAll(client, [once]);
  return heard as Heard;
}
