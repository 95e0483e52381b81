/** Whether all of MinIO's drives hold everything, by the node that heals. */
import type { Check } from "./report";

/** The drives are checked each minute, and one check may take half a minute. */
const CHECK_SECONDS = 180;
/** How long something that can be healed may wait. A failed heal is repeated after an hour at most. */
const WAIT_SECONDS = 3600;
const timer = "moorage-heal.timer";

/** @param lines `key=value`, as `heal.sh status` prints them; times in seconds since 1970 */
export function healingCheck(lines: readonly string[], now: number): Check {
  const facts = Object.fromEntries(
    lines.map((line) => {
      const [key = "", ...rest] = line.split("=");
      return [key, rest.join("=").split(" ")];
    }),
  );
  const { looked: [lookedAt = "0", there = "0"] = [], all: [all = ""] = [] } = facts;
  const { healed: [healedAt] = [], doing: [doingSince] = [] } = facts;
  const last = healedAt === undefined ? "never before" : `the last time at ${timeOf(healedAt)}`;
  const check = (green: boolean, detail: string): Check => ({
    name: "healing",
    green,
    detail,
    ...(green ? {} : { more: ["more: journalctl -b -u moorage-heal.service"] }),
  });
  if (doingSince !== undefined) return check(true, `heals since ${timeOf(doingSince)}, ${last}`);
  if (now - Number(lookedAt) > CHECK_SECONDS)
    return check(false, `the drives are not checked: systemctl restart ${timer}`);
  if (facts["wanted"] === undefined)
    return check(true, `all ${all} drives hold everything, healed ${last.replace(/^the last time /, "")}`);
  const [wantedAt = "0", ...reason] = facts["wanted"];
  const [, tries = "0", ...failure] = facts["failed"] ?? [];
  const because = `since ${timeOf(wantedAt)}: ${reason.join(" ")}`;
  if (there !== all)
    return check(false, `${there} of ${all} drives can be written; heals once all can (${because}; ${last})`);
  if (Number(tries) > 1)
    return check(false, `failed ${tries} times, will be repeated: ${failure.join(" ")} (${last})`);
  const late = now - Number(wantedAt) > WAIT_SECONDS;
  return check(!late, `${late ? "does not heal" : "heals within two minutes"} (${because}; ${last})`);
}

function timeOf(seconds: string): string {
  return new Date(Number(seconds) * 1000).toISOString().replace(/\.\d+Z$/, "Z");
}
