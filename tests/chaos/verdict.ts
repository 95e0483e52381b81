/** Whether a run is a proof: of all that there is, all done, all bounds kept. */
import { isOneCommit } from "./commit";
import { commitsIn, type Found } from "./kept";
import { isCovered, nameOf, type Step } from "./plan";
import { brokenRows } from "./table";

/** What a run was to do, and what it was told to leave out. */
export interface Asked {
  readonly steps: readonly Step[];
  readonly changing: readonly string[];
  /** Whether a platform was asked for, and so what there is on it alone. */
  readonly platform: boolean;
}

/** Steps that nobody has done, or found out that they cannot be done here. */
export const undone = (steps: readonly Step[], { rows, notRun }: Found): Step[] =>
  steps.filter((step) => !isCovered(step, rows) && !notRun.some((one) => nameOf(one.step) === nameOf(step)));

export const unchanged = (names: readonly string[], { changes, notChanged }: Found): string[] =>
  names.filter((name) => ![...changes, ...notChanged].some((one) => one.name === name));

/** Why a run is to end as a failure; nothing where it is none. */
export function failures(found: Found, { steps, changing, platform }: Asked): string[] {
  const broken = brokenRows(found);
  const left = undone(steps, found).length + unchanged(changing, found).length;
  const cannot = found.notRun.length + (platform ? 0 : found.notChanged.length);
  return [
    ...(broken > 0 ? [`${broken} rows with a bound that was not kept`] : []),
    ...(left > 0 ? [`${left} that were not done`] : []),
    ...(cannot > 0 ? [`${cannot} that cannot be done here`] : []),
  ];
}

/** How a run has ended. */
export interface Verdict {
  /** Why it is a failure; nothing where it is none. */
  readonly wrong: readonly string[];
  /** Why its page does not become a part of the documentation; undefined where it does. */
  readonly unpublished?: string;
}

/**
 * @param all all that there is
 * @param isElsewhere whether the page was asked for elsewhere, or only a part of it: otherwise it has to be published
 */
export function verdictOf(
  found: Found,
  asked: Asked,
  all: Omit<Asked, "platform">,
  isElsewhere: boolean,
): Verdict {
  const wrong = failures(found, asked);
  if (isElsewhere) return { wrong, unpublished: "not all was asked for" };
  const because = unpublished(found, all);
  return because === undefined
    ? { wrong }
    : { wrong: [...wrong, `not published, as ${because}`], unpublished: because };
}

/** Why the page does not become a part of the documentation; nothing where it does. @param all all that there is */
export function unpublished(found: Found, all: Omit<Asked, "platform">): string | undefined {
  const commits = commitsIn(found);
  if (undone(all.steps, found).length + unchanged(all.changing, found).length > 0) return "not all was done";
  return isOneCommit(commits) ? undefined : `its rows are of ${commits.join(", and of ") || "nothing"}`;
}
