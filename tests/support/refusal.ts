/** Whether a registry without a quorum refuses requests clearly (docs/decisions/0024). */
import { LabError } from "../../lab/exec";
import type { Heard } from "./request";
import { pause } from "./waiting";

interface Asked {
  readonly path: string;
  readonly method: string;
  readonly body?: string;
}

/** Makes all requests at once, and returns their answers in the same order. */
export type Ask = (asked: readonly Asked[]) => Promise<readonly Heard[]>;

/** A manifest that is there, and an upload that is open. */
export interface Known {
  readonly repository: string;
  readonly digest: string;
  /** With its query. */
  readonly upload: string;
}

const OPENED = { times: 3, pauseMs: 1000 };

/** Begins an upload, and returns its path. @throws LabError after three tries */
export async function openUpload(repository: string, ask: Ask, { times, pauseMs } = OPENED): Promise<string> {
  const [begun] = await ask([{ path: `/v2/${repository}/blobs/uploads/`, method: "POST" }]);
  const location = begun?.headers.location;
  if (begun?.status === 202 && typeof location === "string") {
    const { pathname, search } = new URL(location, "https://registry");
    return `${pathname}${search}`;
  }
  if (times <= 1) throw new LabError(`no upload can be opened: ${begun?.error ?? `status ${begun?.status}`}`);
  await pause(pauseMs);
  return openUpload(repository, ask, { times: times - 1, pauseMs });
}

/** Why an answer is no clear refusal; undefined if it is one. */
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

/** Makes each request that must be refused, and names those that were not refused clearly. */
export async function refusalProblems(refuses: Refused, known: Known, ask: Ask): Promise<string[]> {
  const { digest, upload } = known;
  const repository = `/v2/${known.repository}`;
  const manifest = `${repository}/manifests/${digest}`;
  /** Neither stored nor cached. */
  const other = manifest.replace(/.{8}$/, "00000000");
  const ending = `${upload}${upload.includes("?") ? "&" : "?"}digest=${encodeURIComponent(digest)}`;
  const refused: [string, Asked][] = [
    ["the beginning of a push", { path: `${repository}/blobs/uploads/`, method: "POST" }],
    ["a layer that is open", { path: upload, method: "PATCH", body: "more of it" }],
    ["the end of a layer", { path: ending, method: "PUT" }],
    ["a manifest", { path: `${repository}/manifests/refused`, method: "PUT", body: "{}" }],
    ["a deletion", { path: other, method: "DELETE" }],
  ];
  if (refuses === "everything") refused.push(["a pull", { path: other, method: "GET" }]);
  const answers = await ask(refused.map(([, asked]) => asked));
  return refused.flatMap(([what], index) => {
    const answer = answers[index];
    const why = answer ? unclear(answer) : "not asked";
    return why === undefined ? [] : [`${what} is not refused clearly: ${why}`];
  });
}
