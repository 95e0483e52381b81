/** Which pushes may fail for good while nodes are hurt, and why. */
import type { FaultName } from "../../lab/faults";
import { causeText, type Cause } from "./causes";
import type { PushFailure } from "./measure";
import type { Step } from "./plan";

/** How many, each for one of the causes. */
export interface Limit {
  readonly most: number;
  readonly causes: readonly Cause[];
  readonly because: string;
}

/**
 * Of those that were under way when the fault came, or when it ended: `skopeo` tries again where its connection could not
 * be made or was reset, and not where it closed it itself, or got a 500 or 503.
 */
const around: Limit = {
  most: 3,
  causes: ["cut", "slow", "noFront", "unavailable", "inside"],
  because: "what was under way there ends with it",
};

/** The same where one node's fault is everybody's until that node stands aside. */
export const aroundFull: Limit = {
  ...around,
  most: 6,
  because: "MinIO takes nothing until that drive's member stands aside",
};

const none: Limit = { most: 0, causes: [], because: "" };

const apart: Limit = {
  most: 2,
  causes: ["inside", "slow", "cut"],
  because:
    "what is under way as packets pass again may meet members of MinIO that have yet to find each other",
};

const illDrive: Limit = {
  most: 2,
  causes: ["inside", "unavailable", "slow"],
  because: "a drive that is ill, and not gone, is noticed by what fails",
};

/** Of those that began from 3 s on: none where nothing is said. */
const whileItLasts: Partial<Record<FaultName, Limit>> = {
  drop: apart,
  "drop-in": apart,
  "drop-out": apart,
  "cut-off": apart,
  "slow-disk": illDrive,
  "read-only-disk": illDrive,
  corrupt: illDrive,
  "full-disk": illDrive,
};

const dockerAnew: Limit = {
  most: 2,
  causes: ["cut", "unavailable", "inside"],
  because: "Docker ends the containers that it finds when it is started again",
};

/** @returns what may fail of pushes begun while a fault of one node lasts */
export function limitFor({ fault, choice }: Step): Limit {
  if (fault === "kill" && choice === "docker") return dockerAnew;
  return whileItLasts[fault] ?? none;
}

/** What may fail while a fault lasts, for the page. */
export function limitTexts(): string[] {
  const limits = [...new Set([...Object.values(whileItLasts), dockerAnew])];
  const all: [string, Limit][] = [...Object.entries(whileItLasts), ["kill docker", dockerAnew]];
  return limits.map((limit) => {
    const names = all.filter(([, one]) => one === limit).map(([name]) => `\`${name}\``);
    return `${limit.most} at most under ${names.join(", ")}, as ${limit.because}`;
  });
}

function beyond(what: string, failures: readonly PushFailure[], limit: Limit): string[] {
  const others = failures.filter(({ cause }) => !limit.causes.includes(cause));
  const known = failures.filter(({ cause }) => limit.causes.includes(cause));
  const texts = new Set(others.map(({ cause }) => causeText(cause)));
  return [
    ...(others.length > 0 ? [`${others.length} pushes ${what} failed: ${[...texts].join(", ")}`] : []),
    ...(known.length > limit.most ? [`${known.length} pushes ${what} failed, ${limit.most} may`] : []),
  ];
}

/** Where several nodes are hurt most pushes have to fail, and only how is looked at, until one succeeds again. */
function brokenForSeveral(failures: readonly PushFailure[]): string[] {
  // The end of an upload may meet a store that lists what is there without what the upload's beginning wrote.
  const refused: Limit = { ...around, causes: [...around.causes, "lostUpload"], most: Infinity };
  const onReturn = failures.filter(({ begun }) => begun === "on return");
  const others = failures.filter(({ begun }) => begun !== "on return");
  return [
    ...beyond("of the row", others, refused),
    ...beyond("begun once one had succeeded again", onReturn, around),
  ];
}

/** The bounds that the pushes of a row do not keep. */
export function brokenPushes(step: Step, failures: readonly PushFailure[]): string[] {
  if ((step.count ?? 1) > 1) return brokenForSeveral(failures);
  const limit = limitFor(step);
  const lasting = failures.filter(({ begun }) => begun === "while it lasted");
  const others = failures.filter(({ begun }) => begun !== "while it lasted");
  return [
    ...beyond("begun while it lasted", lasting, limit),
    ...beyond("begun before or after that", others, step.fault === "full-disk" ? aroundFull : around),
  ];
}
