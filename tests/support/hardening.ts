/** Limits and logins of a lab's node, as its kernel and its files have them. */
import type { TestLab } from "./testLab";

export interface Limits {
  readonly processes: string;
  /** Bytes. */
  readonly memory: string;
}

/** Of all containers together, by whichever version of cgroups. */
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

/** Of one container alone. */
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

/** The containers that run on a node, each with the moment it started: one that was started anew is another line. */
export async function startedOn(lab: TestLab, node: string): Promise<string[]> {
  const format = "'{{.Name}} {{.Id}} {{.State.StartedAt}} {{.RestartCount}}'";
  const listed = await lab.mustRoot(node, `docker ps -q | xargs docker inspect --format ${format}`);
  return listed.trim().split("\n").sort();
}

/** For a container's shell: starts so many processes, which end by themselves, until one is refused. */
export const forking = (count: number, seconds: number): string =>
  `n=0; while [ $n -lt ${count} ]; do sleep ${seconds} & n=$((n + 1)); echo $n; done; wait`;

/** For a container's shell: fills that much memory at once, and says what became of whoever did. */
export const filling = (mebibytes: number): string =>
  `dd if=/dev/zero of=/dev/null bs=${mebibytes}M count=1 2>/dev/null; echo "ended with $?"`;

/** Of a process that the kernel has killed. */
export const killed = "ended with 137";

export interface Forked {
  readonly started: number;
  readonly refused: boolean;
}

/** What `forking` came to, by all that was printed. */
export function forkedIn(output: string): Forked {
  const started = output.match(/^\d+$/gm)?.at(-1);
  return { started: Number(started ?? 0), refused: /can(no|')t fork/i.test(output) };
}

/** A slice of systemd's inside the one of all containers, whose limits are met long before that one's are. */
export class TriedSlice {
  static readonly unit = "moorage-tried.slice";
  private readonly names: string[] = [];

  private constructor(
    private readonly lab: TestLab,
    private readonly node: string,
  ) {}

  /** @param most of all its containers together, memory in systemd's notation */
  static async begin(
    lab: TestLab,
    node: string,
    most: { readonly tasks: number; readonly memory: string },
  ): Promise<TriedSlice> {
    const limits = `TasksMax=${most.tasks} MemoryMax=${most.memory} MemorySwapMax=0`;
    await lab.mustRoot(node, `systemctl set-property --runtime ${TriedSlice.unit} ${limits}`);
    return new TriedSlice(lab, node);
  }

  /** What a container without a limit of its own prints that runs a line of shell in the slice. */
  run(line: string): Promise<string> {
    return this.container("--rm", line);
  }

  /** The same, which is left running. */
  async hold(line: string): Promise<void> {
    await this.container("--detach", line);
  }

  /** How many processes are in it, by the kernel, which has it inside the slice of all containers. */
  async processes(): Promise<number> {
    const file = `moorage.slice/${TriedSlice.unit}/pids.current`;
    const files = `/sys/fs/cgroup/pids/${file} /sys/fs/cgroup/${file}`;
    return Number(await this.lab.mustRoot(this.node, `cat ${files} 2>/dev/null; true`));
  }

  async end(): Promise<void> {
    const containers = `docker rm --force ${this.names.join(" ")} >/dev/null 2>&1`;
    const slice = `systemctl stop ${TriedSlice.unit}; systemctl revert ${TriedSlice.unit}`;
    await this.lab.mustRoot(this.node, `${containers}; ${slice}`);
  }

  private container(how: "--rm" | "--detach", line: string): Promise<string> {
    const name = `moorage-tried-${this.names.length}`;
    this.names.push(name);
    const image = "$(docker inspect --format '{{.Image}}' moorage-keepalived)";
    const place = `--cgroup-parent ${TriedSlice.unit} --network none`;
    const command = `docker run ${how} --name ${name} ${place} --entrypoint sh ${image} -c '${line}'`;
    return this.lab.mustRoot(this.node, `timeout -k 1 60 ${command} 2>&1; true`);
  }
}

/** Prints a line with home, kind and key for each key that lets somebody in. */
export const authorizedScript = `cut -d: -f6 /etc/passwd | sort -u | while read -r home; do
  cat "$home"/.ssh/authorized_keys* "$home"/.ssh/authorized_keys.d/* 2>/dev/null |
    awk -v home="$home" 'NF && !/^#/ { print home, $1, $2 }'
done | sort -u`;

export async function authorized(lab: TestLab, node: string): Promise<string[]> {
  return (await lab.mustRoot(node, authorizedScript)).trim().split("\n");
}

/** Kind and text of the program's own key. */
export async function programKey(lab: TestLab): Promise<string> {
  const state = JSON.parse(await lab.state()) as {
    deployment: { resources: { urn: string; outputs?: { publicKeyOpenssh?: string } }[] };
  };
  const login = state.deployment.resources.find(({ urn }) => urn.endsWith("-login-key"));
  const [kind, key] = login?.outputs?.publicKeyOpenssh?.trim().split(" ") ?? [];
  if (kind === undefined || key === undefined) throw new Error("the stack has no key to log in with");
  return `${kind} ${key}`;
}
