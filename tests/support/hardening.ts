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
