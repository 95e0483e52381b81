/** What a registry that cannot write, or cannot read, has to say, and to go on saying. */
import { LabError, waitFor } from "../../lab/exec";
import { causeOf } from "./causes";
import type { Probe } from "./client/probe";
import type { Heard } from "./client/request";
import type { Outcome } from "./load";
import type { Span } from "./measure";
import { REFUSAL_SECONDS } from "./plan";

interface Asked {
  readonly path: string;
  readonly method: string;
  readonly body?: string;
}

/** Asks all of it at once, and gives back the answers in the same order. */
export type Ask = (asked: readonly Asked[]) => Promise<readonly Heard[]>;

/** A manifest that is there, and an upload that is open. */
export interface Known {
  readonly repository: string;
  readonly digest: string;
  /** With its query. */
  readonly upload: string;
}

const EVERY_MS = 1500;
const STAYS_MS = 3000;

const OPENED = { times: 3, pauseMs: 1000 };

/** Begins an upload, which is to be refused in its middle. @throws LabError where it is not begun, tried thrice */
export async function openUpload(repository: string, ask: Ask, { times, pauseMs } = OPENED): Promise<string> {
  const [begun] = await ask([{ path: `/v2/${repository}/blobs/uploads/`, method: "POST" }]);
  const location = begun?.headers.location;
  if (begun?.status === 202 && typeof location === "string") {
    const { pathname, search } = new URL(location, "https://registry");
    return `${pathname}${search}`;
  }
  if (times <= 1) throw new LabError(`no upload can be opened: ${begun?.error ?? `status ${begun?.status}`}`);
  await new Promise((resolve) => setTimeout(resolve, pauseMs));
  return openUpload(repository, ask, { times: times - 1, pauseMs });
}

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

type Refused = "pushes" | "everything";

/** Asks for what must be refused, and says what was not, or not clearly. */
export async function refusalProblems(refuses: Refused, known: Known, ask: Ask): Promise<string[]> {
  const { digest, upload } = known;
  const repository = `/v2/${known.repository}`;
  const manifest = `${repository}/manifests/${digest}`;
  const ending = `${upload}${upload.includes("?") ? "&" : "?"}digest=${encodeURIComponent(digest)}`;
  const refused: [string, Asked][] = [
    ["the beginning of a push", { path: `${repository}/blobs/uploads/`, method: "POST" }],
    ["a layer that is open", { path: upload, method: "PATCH", body: "more of it" }],
    ["the end of a layer", { path: ending, method: "PUT" }],
    ["a manifest", { path: `${repository}/manifests/refused`, method: "PUT", body: "{}" }],
    ["a deletion", { path: manifest.replace(/.{8}$/, "00000000"), method: "DELETE" }],
  ];
  if (refuses === "everything") refused.push(["a pull", { path: manifest, method: "GET" }]);
  const answers = await ask(refused.map(([, asked]) => asked));
  return refused.flatMap(([what], index) => {
    const answer = answers[index];
    const why = answer ? unclear(answer) : "not asked";
    return why === undefined ? [] : [`${what} is not refused clearly: ${why}`];
  });
}

export interface Refusal {
  /** From the fault until all of it was refused clearly. */
  readonly seconds?: number;
  /** What was not by the end of its time, or no longer after that. */
  readonly problems: readonly string[];
}

/** When a fault was done, and until when it lasts, in milliseconds since 1970. */
export interface Lasting {
  readonly since: number;
  readonly until: number;
}

/**
 * Asks again and again until all is refused clearly, and then whether it stays so.
 * @param onRefused called once it is
 */
export async function awaitRefusal(
  refuses: Refused,
  known: Known,
  ask: Ask,
  { since, until }: Lasting,
  onRefused: () => void = () => undefined,
  everyMs = EVERY_MS,
  staysMs = STAYS_MS,
): Promise<Refusal> {
  let problems: readonly string[] = [];
  const after = (): number => (Date.now() - since) / 1000;
  const refused = async (): Promise<number | undefined> => {
    problems = await refusalProblems(refuses, known, ask);
    return problems.length === 0 ? after() : undefined;
  };
  const seconds = await waitFor(refused, since + REFUSAL_SECONDS * 1000 - Date.now(), everyMs);
  if (seconds === undefined) return { problems };
  onRefused();
  const later: string[] = [];
  const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, staysMs));
  for (await pause(); Date.now() < until; await pause()) {
    const at = after();
    const now = await refusalProblems(refuses, known, ask);
    later.push(...now.map((one) => `${at.toFixed(0)} s after the fault, ${one}`));
  }
  const late = seconds > REFUSAL_SECONDS ? [`all is refused clearly only after ${seconds.toFixed(0)} s`] : [];
  return { seconds, problems: [...late, ...later] };
}

/** What pushes of the load got in place of a 503, of those that began and ended while all was refused clearly. */
export function wronglyPushed(outcomes: readonly Outcome[], { from, to }: Span): string[] {
  const those = outcomes.filter((one) => one.kind === "push" && one.start >= from && one.end <= to);
  if (those.length === 0) return ["no push was tried while pushes were refused"];
  return those.flatMap(({ ok, error = "nothing said" }) => {
    if (ok) return ["a push was acknowledged while pushes were refused"];
    return causeOf(error) === "unavailable" ? [] : [`a push was not refused with 503: ${error.slice(-120)}`];
  });
}

/** Answers to pulls that are none while nothing can be read. @param from by when a refusal has to be clear */
export function wronglyAnswered(
  probes: readonly Probe[],
  { from, to }: Span,
  right: readonly number[],
): string[] {
  const manifests = probes.filter(
    ({ at, firstByteMs, path }) => at >= from && at + firstByteMs <= to && path !== "/v2/",
  );
  const wrong = [...new Set(manifests.map(({ status }) => status))].filter(
    (status) => !right.includes(status),
  );
  return wrong.map((status) => {
    const count = manifests.filter((one) => one.status === status).length;
    return `${count} of ${manifests.length} pulls were answered with ${status || "nothing"}`;
  });
}
