/** Which versions of Docker Engine are accepted. Pure functions. */
import type { Problem } from "../problem";

/** The first releases whose encrypted overlays refuse clear traffic (CVE-2023-28840, -28841, -28842). */
const FIXED = "23.0.3";
const FIXED_BACKPORT = "20.10.24";

export const dockerWanted = `${FIXED} or newer, or ${FIXED_BACKPORT}`;

export function dockerVersionProblem(version: string): Problem | undefined {
  const isFixed =
    !olderThan(version, FIXED) || (version.startsWith("20.10.") && !olderThan(version, FIXED_BACKPORT));
  if (isFixed) return undefined;
  return {
    what: `its Docker is ${version}, whose encrypted overlay network also takes traffic that is not encrypted`,
    advice: `install ${dockerWanted}`,
  };
}

export function dockerVersionWarning(version: string): string | undefined {
  if (olderThan(version, "29.0") || !olderThan(version, "29.8")) return undefined;
  return (
    `with its Docker ${version}, services' names may stay unknown for hours once a node was without network for 10 to 30 s ` +
    "(moby #53141). Install 29.8 or newer, or 28; until then `docker service update --force SERVICE` brings a name back"
  );
}

/** Lower than, for versions of dotted numbers. */
function olderThan(version: string, minimum: string): boolean {
  const parts = (text: string) => text.split(/[.+~-]/).map((part) => parseInt(part, 10) || 0);
  const [a, b] = [parts(version), parts(minimum)];
  for (let index = 0; index < b.length; index += 1) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}
