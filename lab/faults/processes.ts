/** Single processes of a host: killed, frozen and thawed. */
import { LabError } from "../exec";
import { groupsNamed, processesOf } from "./cgroups";
import { freezeGroup } from "./freezer";
import { shellIn, type Place } from "./place";

/** What of a node can be killed or frozen by itself, and where it is found. */
const programs = {
  minio: (node: string) => ({ service: `minio-${node}` }),
  registry: (node: string) => ({ service: `registry-${node}` }),
  haproxy: (node: string) => ({ service: `haproxy-${node}` }),
  nginx: () => ({ service: "nginx" }),
  keepalived: () => ({ container: "moorage-keepalived" }),
  etcd: () => ({ container: "moorage-etcd" }),
  docker: () => ({ unit: "docker.service" }),
} satisfies Record<string, (node: string) => Found>;

interface Found {
  readonly service?: string;
  readonly container?: string;
  readonly unit?: string;
}

export type ProgramName = keyof typeof programs;

export const programNames = Object.keys(programs) as ProgramName[];

export function programNamed(text: string | undefined): ProgramName {
  const known = programNames.find((name) => name === text);
  if (known) return known;
  throw new LabError(
    `no program ${text === undefined ? "named" : `called "${text}"`}: give one of ${programNames.join(", ")}`,
  );
}

/** The name of the cgroup that holds a program's processes. */
async function groupNameOf(place: Place, program: ProgramName): Promise<string> {
  const { service, container, unit }: Found = programs[program](place.host.name);
  if (unit !== undefined) return unit;
  const filter =
    service !== undefined ? `label=com.docker.swarm.service.name=${service}` : `name=^${container}$`;
  const listed = await shellIn(
    place,
    `docker ps --no-trunc --quiet --filter status=running --filter '${filter}'`,
  );
  const id = listed.stdout.trim().split("\n")[0];
  if (listed.code === 0 && id) return id;
  const why = listed.code === 0 ? "none runs" : listed.output.trim();
  throw new LabError(`${place.host.name} has no container of ${program} to hurt: ${why}`);
}

/** The processes of a program, by their numbers on this machine. */
export async function processesOfProgram(place: Place, program: ProgramName): Promise<number[]> {
  const name = await groupNameOf(place, program);
  return groupsNamed(place, "systemd", name).flatMap(processesOf);
}

/** Kills a program without a warning. Whoever looks after it starts it again. */
export async function killProgram(place: Place, program: ProgramName): Promise<void> {
  const pids = await processesOfProgram(place, program);
  if (pids.length === 0) throw new LabError(`${program} has no process on ${place.host.name}`);
  for (const pid of pids) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It ended with one of the others.
    }
  }
}

export async function freezeProgram(place: Place, program: ProgramName): Promise<void> {
  freezeGroup(place, await groupNameOf(place, program));
}
