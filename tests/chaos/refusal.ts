/** What a registry that cannot write, or cannot read, has to say. */
import type { Heard } from "./client/request";

type Ask = (path: string, method: string) => Promise<Heard>;

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
  known: { readonly repository: string; readonly digest: string },
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
  const answers = await Promise.all(
    refused.map(async ([what, path, method]) => [what, unclear(await ask(path, method))] as const),
  );
  return answers.flatMap(([what, why]) =>
    why === undefined ? [] : [`${what} is not refused clearly: ${why}`],
  );
}
