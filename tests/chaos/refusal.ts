/** What a registry that cannot write, or cannot read, has to say. */
import { waitFor } from "../../lab/exec";
import type { Heard } from "./client/request";
import { REFUSAL_SECONDS } from "./plan";

interface Asked {
  readonly path: string;
  readonly method: string;
}

/** Asks all of it at once, and gives back the answers in the same order. */
export type Ask = (asked: readonly Asked[]) => Promise<readonly Heard[]>;

/** A manifest that is there. */
interface Known {
  readonly repository: string;
  readonly digest: string;
}

const EVERY_MS = 1500;

/** Why an answer is no clear refusal; nothing where it is one. */
export function unclear({ status, headers, body, error }: Heard): string | undefined {
  if (status !== 503) return error ?? `status ${status}`;
  const after = headers["retry-after"];
  if (after === undefined) return "503 without Retry-After";
  if (!/^[1-9]\d*$/.test(String(after))) return `503 with Retry-After: ${String(after)}`;
  try {
    const { errors } = JSON.parse(body) as { errors?: { code?: string }[] };
    return typeof errors?.[0]?.code === "string" ? undefined : "503 without an error of the registry's";
  } catch {
    return "503 with a body that is no JSON";
  }
}

/** Asks for what must be refused, and says what was not, or not clearly. */
export async function refusalProblems(
  refuses: "pushes" | "everything",
  known: Known,
  ask: Ask,
): Promise<string[]> {
  const repository = `/v2/${known.repository}`;
  const manifest = `${repository}/manifests/${known.digest}`;
  const refused: [string, string, string][] = [
    ["the beginning of a push", `${repository}/blobs/uploads/`, "POST"],
    ["a layer", `${repository}/blobs/uploads/0a-1b`, "PATCH"],
    ["a manifest", `${repository}/manifests/refused`, "PUT"],
    ["a deletion", manifest.replace(/.{8}$/, "00000000"), "DELETE"],
    ...(refuses === "everything" ? [["a pull", manifest, "GET"] satisfies [string, string, string]] : []),
  ];
  const answers = await ask(refused.map(([, path, method]) => ({ path, method })));
  return refused.flatMap(([what], index) => {
    const answer = answers[index];
    const why = answer ? unclear(answer) : "not asked";
    return why === undefined ? [] : [`${what} is not refused clearly: ${why}`];
  });
}

export interface Refused {
  /** From the fault until all of it was refused clearly. */
  readonly seconds?: number;
  /** What was not by the end of its time. */
  readonly problems: readonly string[];
}

/** Asks again and again until all is refused clearly. @param since the fault, in milliseconds since 1970 */
export async function awaitRefusal(
  refuses: "pushes" | "everything",
  known: Known,
  ask: Ask,
  since: number,
  everyMs = EVERY_MS,
): Promise<Refused> {
  let problems: readonly string[] = [];
  const refused = async (): Promise<number | undefined> => {
    problems = await refusalProblems(refuses, known, ask);
    return problems.length === 0 ? (Date.now() - since) / 1000 : undefined;
  };
  const left = since + REFUSAL_SECONDS * 1000 - Date.now();
  const seconds = await waitFor(refused, left, everyMs);
  if (seconds === undefined || seconds <= REFUSAL_SECONDS) return { seconds, problems };
  return { seconds, problems: [`all is refused clearly only after ${seconds.toFixed(0)} s`] };
}
