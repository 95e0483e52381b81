/** What docs/runbook.md says of files that have rotted on a drive, done as it says. */
import { LabError, waitFor } from "../../lab/exec";
import { shellIn, type Place } from "../../lab/faults/place";
import { runbook } from "../support/runbook";

const PAGE = "Files on a data disk have rotted";
const SCRIPT = "/etc/moorage/healing";
/** One look at every byte. */
const DEEP_SECONDS = 280;
const PATIENCE_MS = 400_000;
const PAUSE_MS = 5000;

/** The page's commands: for the first storage node, and for the one whose drive is named. */
export function rotCommands(): { readonly deep: string; readonly empty: string } {
  const [deep, empty] = runbook().find(({ title }) => title === PAGE)?.commands ?? [];
  if (deep?.on !== "the first storage node" || empty?.on !== "NODE")
    throw new LabError(`docs/runbook.md does not say what this knows to do for "${PAGE}"`);
  const plain = (line: string): string => line.replace(/^sudo /, "");
  return { deep: plain(deep.line), empty: plain(empty.line) };
}

/** The node of the one drive that a healing names; where it names several, none of them may be emptied. */
export const rottenIn = (said: string): string | undefined =>
  /^not healed: \d+ objects are not on all drives: minio-(\S+)$/m.exec(said)?.[1];

/** The facts that the healing tells with `say`. */
function factsOf(said: string): Map<string, string> {
  return new Map(said.split("\n").map((line) => [line.split("=")[0] ?? "", line.replace(/^[^=]*=/, "")]));
}

/**
 * What a healing has still to do; nothing where all drives hold everything.
 * @param since seconds since 1970: what it saw before counts for nothing
 */
export function unfinished(said: string, since: number): string[] {
  const facts = factsOf(said);
  const [at = 0, there = 0] = (facts.get("looked") ?? "").split(" ").map(Number);
  const open = ["wanted", "doing", "failed"].filter((fact) => facts.has(fact));
  return [
    ...open.map((fact) => `healing: ${fact}=${facts.get(fact)}`),
    ...(at < since ? ["healing: has not looked yet"] : []),
    ...(at >= since && there !== Number(facts.get("all")) ? [`healing: ${there} drives`] : []),
    ...(facts.has("healed") ? [] : ["healing: never done"]),
  ];
}

export interface Mended {
  /** What was done, for the table. */
  readonly command: string;
  /** What it says at last, where that is not that all is healed. */
  readonly problem?: string;
}

/** Heals by a deep scan; the drive that this cannot mend is emptied, and filled from the others. */
export async function mendRot(
  nodes: readonly Place[],
  say: (line: string) => void,
  shell: (
    place: Place,
    line: string,
    seconds?: number,
  ) => Promise<{ code: number; output: string }> = shellIn,
  everyMs = PAUSE_MS,
  patienceMs = PATIENCE_MS,
): Promise<Mended> {
  const { deep, empty } = rotCommands();
  const [healer] = nodes;
  if (!healer) throw new LabError("there is no storage node");
  const emptied: string[] = [];
  let last = "";
  const asked = (place: Place, line: string, seconds?: number) =>
    shell(place, line, seconds).catch((error: unknown) => ({ code: 1, output: String(error) }));
  const allThere = async (): Promise<boolean> => {
    const facts = factsOf((await asked(healer, `sh ${SCRIPT} say`)).output);
    return facts.get("looked")?.split(" ")[1] === facts.get("all");
  };
  const healed = await waitFor(
    async () => {
      const { output } = await asked(healer, deep, DEEP_SECONDS);
      const said = output.trim().split("\n").at(-1) ?? "";
      if (said !== last) say(`    ${said}`);
      last = said;
      if (/^healed: /m.test(output)) return true;
      const place = nodes.find(({ host }) => host.name === rottenIn(output));
      if (place && !emptied.includes(place.host.name) && (await allThere())) {
        const done = await asked(place, empty, DEEP_SECONDS);
        if (done.code === 0) emptied.push(place.host.name);
        say(
          `    the drive of ${place.host.name} is emptied: ${done.code === 0 ? "done" : done.output.trim()}`,
        );
      }
      return undefined;
    },
    patienceMs,
    everyMs,
  );
  const also = emptied.length > 0 ? `, the drive of ${emptied.join(" and ")} emptied` : "";
  return { command: `\`${deep}\`${also}`, ...(healed ? {} : { problem: `the healing says: ${last}` }) };
}
