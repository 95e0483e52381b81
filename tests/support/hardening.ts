/** Limits and SSH keys of a lab's node, by its kernel and its files. */
import type { TestLab } from "./testLab";

export interface Limits {
  readonly processes: string;
  /** Bytes. */
  readonly memory: string;
}

/** The limits of all containers together, by cgroups 1 or 2. */
export async function sliceLimits(lab: TestLab, node: string): Promise<Limits> {
  const limit = async (file: string, unified: string): Promise<string> => {
    const files = `/sys/fs/cgroup/${file} /sys/fs/cgroup/moorage.slice/${unified}`;
    return (await lab.mustRoot(node, `cat ${files} 2>/dev/null; true`)).trim();
  };
  return {
    processes: await limit("pids/moorage.slice/pids.max", "pids.max"),
    memory: await limit("memory/moorage.slice/memory.limit_in_bytes", "memory.max"),
  };
}

/** The limits of one container. */
export async function ownLimits(lab: TestLab, node: string, container: string): Promise<Limits> {
  const id = (await lab.mustRoot(node, `docker inspect --format '{{.Id}}' ${container}`)).trim();
  const limit = async (names: string): Promise<string> => {
    const found = `find /sys/fs/cgroup -path '*/moorage.slice/*${id}*' \\( ${names} \\)`;
    return (await lab.mustRoot(node, `${found} -exec cat {} +`)).trim();
  };
  return {
    processes: await limit("-name pids.max"),
    memory: await limit("-name memory.limit_in_bytes -o -name memory.max"),
  };
}

/** The running containers of a node, with the time of each start. */
export async function startedOn(lab: TestLab, node: string): Promise<string[]> {
  const format = "'{{.Name}} {{.Id}} {{.State.StartedAt}} {{.RestartCount}}'";
  const listed = await lab.mustRoot(node, `docker ps -q | xargs docker inspect --format ${format}`);
  return listed.trim().split("\n").sort();
}

/** A shell line that starts processes until one is refused. */
export const forking = (count: number, seconds: number): string =>
  `n=0; while [ $n -lt ${count} ]; do sleep ${seconds} & n=$((n + 1)); echo $n; done; wait`;

/** A shell line that fills memory at once and prints the exit code. */
export const filling = (mebibytes: number): string =>
  `dd if=/dev/zero of=/dev/null bs=${mebibytes}M count=1 2>/dev/null; echo "ended with $?"`;

/** It prints this if the kernel killed the process. */
export const killed = "ended with 137";

export interface Forked {
  readonly started: number;
  readonly refused: boolean;
}

/** The result of `forking`, by its output. */
export function forkedIn(output: string): Forked {
  const started = output.match(/^\d+$/gm)?.at(-1);
  return { started: Number(started ?? 0), refused: /can(no|')t fork/i.test(output) };
}

/** Prints a line with home, kind and key for each authorized key. */
export const authorizedScript = `cut -d: -f6 /etc/passwd | sort -u | while read -r home; do
  cat "$home"/.ssh/authorized_keys* "$home"/.ssh/authorized_keys.d/* 2>/dev/null |
    awk -v home="$home" 'NF && !/^#/ { print home, $1, $2 }'
done | sort -u`;

export async function authorized(lab: TestLab, node: string): Promise<string[]> {
  return (await lab.mustRoot(node, authorizedScript)).trim().split("\n");
}

/** Kind and text of the program's SSH key. */
export async function programKey(lab: TestLab): Promise<string> {
  const state = JSON.parse(await lab.state()) as {
    deployment: { resources: { urn: string; outputs?: { publicKeyOpenssh?: string } }[] };
  };
  const login = state.deployment.resources.find(({ urn }) => urn.endsWith("-login-key"));
  const [kind, key] = login?.outputs?.publicKeyOpenssh?.trim().split(" ") ?? [];
  if (kind === undefined || key === undefined) throw new Error("the stack has no key to log in with");
  return `${kind} ${key}`;
}
