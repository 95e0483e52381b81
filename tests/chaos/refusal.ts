/** What a registry that cannot write, or cannot read, has to say. */
import type { Heard } from "./client/request";
import type { Step } from "./plan";

type Ask = (path: string, method: string) => Promise<Heard>;

/** Why an answer is no clear refusal; nothing where it is one. */
export function unclear({ status, headers, body, error }: Heard): string | undefined {
  if (status !== 503) return error ?? `status ${status}`;
  if (headers["retry-after"] === undefined) return "503 without Retry-After";
  try {
    const { errors } = JSON.parse(body) as { errors?: { code?: string }[] };
    return typeof errors?.[0]?.code === "string" ? undefined : "503 without an error of the registry's";
  } catch {
    return "503 with a body that is no JSON";
  }
}

/** Asks for what must be refused, and says what was not, or not clearly. */
export async function refusalProblems(
  refuses: NonNullable<Step["refuses"]>,
  known: { readonly repository: string; readonly digest: string },
  ask: Ask,
): Promise<string[]> {
  const manifest = `/v2/${known.repository}/manifests/${known.digest}`;
  const refused: [string, string, string][] =
    refuses === "pushes"
      ? [
          ["a push", `/v2/${known.repository}/blobs/uploads/`, "POST"],
          ["a deletion", manifest.replace(/.{8}$/, "00000000"), "DELETE"],
        ]
      : [["a pull", manifest, "GET"]];
  const answers = await Promise.all(
    refused.map(async ([what, path, method]) => [what, unclear(await ask(path, method))] as const),
  );
  return answers.flatMap(([what, why]) =>
    why === undefined ? [] : [`${what} is not refused clearly: ${why}`],
  );
}
