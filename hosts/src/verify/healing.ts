/** Whether what was written while a drive was away is on all drives, by what the node that sees to it says. */
import type { Check } from "./report";

/** It looks every 20 s, and one look may take half a minute. */
const LOOK_SECONDS = 120;
/** How long something that could be healed may wait before nothing seems to happen. */
const WAIT_SECONDS = 1800;
const unit = "moorage-healing.service";

/** Lines of `key=value`, as the script's verb `say` prints them; times in seconds since 1970. */
export function healingCheck(lines: readonly string[], now: number): Check {
  const words = Object.fromEntries(
    lines.map((line) => {
      const [key = "", ...rest] = line.split("=");
      return [key, rest.join("=").split(" ")];
    }),
  );
  const { looked: [lookedAt = "0", there = "0"] = [], all: [all = ""] = [] } = words;
  const { healed: [healedAt] = [], doing: [doingSince] = [] } = words;
  const last = healedAt === undefined ? "never before" : `the last time at ${timeOf(healedAt)}`;
  const check = (green: boolean, detail: string): Check => ({
    name: "healing",
    green,
    detail,
    ...(green ? {} : { more: [`more: journalctl -b -u ${unit}`] }),
  });
  if (now - Number(lookedAt) > LOOK_SECONDS)
    return check(false, `nobody looks after the drives: systemctl restart ${unit}`);
  if (doingSince !== undefined) return check(true, `heals since ${timeOf(doingSince)}, ${last}`);
  if (words["wanted"] === undefined)
    return check(true, `all ${all} drives hold everything, healed ${last.replace(/^the last time /, "")}`);
  const [wantedAt = "0", ...reason] = words["wanted"];
  const [, tries = "0", ...failure] = words["failed"] ?? [];
  const because = `since ${timeOf(wantedAt)}: ${reason.join(" ")}`;
  if (there !== all)
    return check(false, `${there} of ${all} drives can be written; heals once all can (${because}; ${last})`);
  if (Number(tries) > 1)
    return check(false, `${tries} tries failed, goes on: ${failure.join(" ")} (${last})`);
  const late = now - Number(wantedAt) > WAIT_SECONDS;
  return check(!late, `${late ? "does not heal" : "heals within a minute"} (${because}; ${last})`);
}

function timeOf(seconds: string): string {
  return new Date(Number(seconds) * 1000).toISOString().replace(/\.\d+Z$/, "Z");
}
