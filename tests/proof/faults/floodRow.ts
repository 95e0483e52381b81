/** One user sends slow uploads from every client, to nodes of 4 GiB: MinIO is not killed, and others' pulls go on. */
import { spawn, type ChildProcess } from "node:child_process";
import * as path from "node:path";
import { createInterface } from "node:readline";
import { LabError } from "../../../lab/exec";
import { shellIn, type Place } from "../../../lab/faults/place";
import { checkout, type Host } from "../../../lab/instance";
import type { Login } from "../../support/request";
import { pause } from "../../support/waiting";
import { resultOf, type Result } from "./rows";
import type { Stage } from "./stage";
import { Traffic } from "./traffic";

export const floodName = "flood: slow uploads of one user";

/** What containers may have by default of 4 GiB. The flood sends more: without limits the kernel ends MinIO in the end. */
const NODE_MEMORY = "3276M";
const LASTS_MS = 90_000;
const WHOLE_SECONDS = 240;

/** Uploads of a flood: open now, and how often one was answered with 429. */
export interface Flooded {
  readonly open: number;
  readonly refused: number;
}

export async function floodRow(stage: Stage): Promise<Result> {
  stage.say(floodName);
  const before = await membersOf(stage);
  const limits = await Promise.all(stage.nodes.map(memoryMaxOf));
  const traffic = await Traffic.begin(stage);
  const floods: Flood[] = [];
  try {
    await Promise.all(stage.nodes.map((place) => limitMemory(place, NODE_MEMORY)));
    const from = Date.now();
    for (const host of stage.clients) floods.push(new Flood(host, stage.login));
    await pause(LASTS_MS);
    const flooded = floods.map((flood) => flood.end());
    stage.say(`    ${flooded.map(({ open, refused }) => `${open} open, ${refused} refused`).join("; ")}`);
    const ended = Date.now();
    const isWhole = await stage.isWhole(WHOLE_SECONDS);
    const to = Date.now();
    const after = await membersOf(stage);
    if (!isWhole) await stage.restore();
    await traffic.enough(from);
    const { figures, broken } = await traffic.finish({ from, to }, true);
    const killed = stage.nodes.filter((_, at) => after[at] !== before[at]).map(({ host }) => host.name);
    const all = [
      ...broken,
      ...(killed.length > 0 ? [`MinIO was killed on ${killed.join(", ")}`] : []),
      ...(flooded.some(({ refused }) => refused === 0) ? ["the user was not refused at a limit"] : []),
    ];
    const about = isWhole ? { seconds: (to - ended) / 1000 } : { command: "pulumi up --refresh" };
    return resultOf(about, { figures, broken: all });
  } finally {
    for (const flood of floods) flood.end();
    await traffic.end();
    await Promise.all(stage.nodes.map((place, at) => limitMemory(place, limits[at] || "80%")));
  }
}

/** MinIO's container on each node: another one, or none, where it was killed. */
const membersOf = ({ nodes }: Stage): Promise<string[]> =>
  Promise.all(
    nodes.map(async (place) => {
      const ofMember = `--filter 'label=com.docker.swarm.service.name=minio-${place.host.name}'`;
      return (await shellIn(place, `docker ps --quiet --no-trunc ${ofMember}`)).stdout.trim();
    }),
  );

async function memoryMaxOf(place: Place): Promise<string> {
  return (await shellIn(place, "systemctl show --value --property MemoryMax moorage.slice")).stdout.trim();
}

/** Of all containers of a node, until its next boot. */
async function limitMemory(place: Place, memory: string): Promise<void> {
  const line = `systemctl set-property --runtime moorage.slice MemoryMax=${memory}`;
  const { code, output } = await shellIn(place, line);
  if (code !== 0) throw new LabError(`${place.host.name} does not limit its containers' memory: ${output}`);
}

/** flood.ts on a client host. */
class Flood {
  private readonly child: ChildProcess;
  private last: Flooded = { open: 0, refused: 0 };

  constructor(host: Host, login: Login) {
    const program = [process.execPath, "--import", "tsx", path.join(__dirname, "flood.ts")];
    this.child = spawn("ip", ["netns", "exec", host.netns, ...program], {
      cwd: checkout(),
      stdio: ["pipe", "pipe", "inherit"],
    });
    const { stdin, stdout } = this.child;
    if (!stdin || !stdout) throw new LabError("a flood has no pipes");
    stdin.on("error", () => undefined);
    createInterface({ input: stdout }).on("line", (line) => (this.last = JSON.parse(line) as Flooded));
    stdin.write(`${JSON.stringify(login)}\n`);
  }

  end(): Flooded {
    this.child.kill("SIGKILL");
    return this.last;
  }
}
