/** Swarm's leadership, passed on to another manager. */
import { LabError, waitFor } from "../../lab/exec";
import { shellIn, type Place } from "../../lab/faults/place";
import { leaderOf } from "./strength";

const PASSED_MS = 60_000;
const EVERY_MS = 300;

const REACHABILITY = "{{if .ManagerStatus}}{{.ManagerStatus.Reachability}}{{end}}";

interface Passing {
  readonly shell?: (place: Place, line: string) => Promise<{ code: number; stdout: string; output: string }>;
  readonly leader?: (managers: readonly Place[]) => Promise<string | undefined>;
  readonly patienceMs?: number;
}

/**
 * A leader that is demoted passes the leadership on before anything else; then it becomes a manager again, which is
 * waited for. No container is touched.
 */
export async function passLeadership(
  managers: readonly Place[],
  leader: string,
  { shell = shellIn, leader: leaderNow = leaderOf, patienceMs = PASSED_MS }: Passing = {},
): Promise<void> {
  const others = managers.filter(({ host }) => host.name !== leader);
  const [other] = others;
  if (!other) throw new LabError("there is no other manager to lead the Swarm");
  let said = "";
  /** Until it is so: while managers choose a leader they say nothing. */
  const until = async (what: string, done: () => Promise<boolean>): Promise<void> => {
    const whether = async (): Promise<true | undefined> => ((await done()) ? true : undefined);
    if (!(await waitFor(whether, patienceMs, EVERY_MS)))
      throw new LabError(`${what}: ${other.host.name} says: ${said.trim() || "nothing"}`);
  };
  const saysTo = async (line: string): Promise<string | undefined> => {
    const { code, stdout, output } = await shell(other, line);
    said = output;
    return code === 0 ? stdout.trim() : undefined;
  };
  const leads = others.map(({ host }) => host.name);
  if ((await saysTo(`docker node demote ${leader}`)) === undefined)
    throw new LabError(`${leader} cannot be demoted: ${said.trim()}`);
  try {
    await until(`${leader} still leads the Swarm, or nobody does`, async () =>
      leads.includes((await leaderNow(others)) ?? ""),
    );
  } finally {
    const promoted = `docker node promote ${leader}`;
    await until(`${leader} cannot be promoted`, async () => (await saysTo(promoted)) !== undefined);
  }
  await until(
    `${leader} does not become a manager again`,
    async () => (await saysTo(`docker node inspect --format '${REACHABILITY}' ${leader}`)) === "reachable",
  );
}
