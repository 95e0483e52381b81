/** Programs that run on the lab's clients: in their networks, with this machine's files. */
import { LabError } from "../../lab/exec";
import type { Host } from "../../lab/instance";
import type { Once } from "./client/once";
import type { Probe, Probing } from "./client/probe";
import type { Reading } from "./client/readBack";
import type { Heard, Login } from "./client/request";
import { startProgram, type Program } from "./programs";
import type { Read } from "./reading";

const start = (client: Host, program: string, input: unknown, onLine: (line: unknown) => void): Program =>
  startProgram(`client/${program}`, input, onLine, ["ip", "netns", "exec", client.netns]);

/** Probes from a client until the function that comes back is called. */
export function probe(client: Host, probing: Probing, onProbe: (probe: Probe) => void): () => Promise<void> {
  const { stop, over } = start(client, "probe", probing, (line) => onProbe(line as Probe));
  return async () => {
    stop();
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
  const code = await start(client, "readBack", reading, (line) => said.push(line)).over;
  if (said.at(-1) !== "done") throw new LabError(`reading back ended half way, with exit code ${code}`);
  return said.slice(0, -1).map(String);
}

/** Requests from a client, all at once. */
export async function askAll(client: Host, asked: readonly Once[]): Promise<Heard[]> {
  const said: unknown[] = [];
  const code = await start(client, "once", asked, (line) => said.push(line)).over;
  if (said.length !== asked.length) throw new LabError(`asking ended with exit code ${code}`);
  return said as Heard[];
}

/** One request from a client. */
export async function askOnce(client: Host, once: Once): Promise<Heard> {
  const [heard] = await askAll(client, [once]);
  return heard as Heard;
}
