import { expect, it } from "vitest";
import { healingCheck } from "../../../hosts/src/verify/healing";

const now = 1_800_000_000;
const healed = `healed=${now - 3600}`;
const wanted = `wanted=${now - 60} a drive was away`;
const looked = `looked=${now - 5} 4`;
const unchecked = "the drives are not checked: systemctl restart moorage-heal.timer";

it.each<[string[], boolean, string | RegExp]>([
  [[looked, healed], true, "all 4 drives hold everything, healed at 2027-01-15T07:00:00Z"],
  [
    [looked, healed, wanted],
    true,
    "heals within two minutes (since 2027-01-15T07:59:00Z: a drive was away; the last time at 2027-01-15T07:00:00Z)",
  ],
  [[looked, `doing=${now - 60}`], true, "heals since 2027-01-15T07:59:00Z, never before"],
  [
    [`looked=${now} 3`, healed, wanted],
    false,
    "3 of 4 drives can be written; heals once all can (since 2027-01-15T07:59:00Z: a drive was away; the last time at 2027-01-15T07:00:00Z)",
  ],
  [[looked, wanted, `failed=${now - 9} 1 exit code 1: x`], true, /./],
  [
    [looked, wanted, `failed=${now - 9} 3 exit code 1: x`],
    false,
    "failed 3 times, will be repeated: exit code 1: x (never before)",
  ],
  [[looked, `wanted=${now - 7200} a drive was away`], false, /^does not heal /],
  [["looked=", healed], false, unchecked],
  [[`looked=${now - 600} 4`, healed], false, unchecked],
])("the healing of %j is green: %s", (lines, green, detail) => {
  const check = healingCheck(["all=4", ...lines], now);
  expect(check).toMatchObject({ name: "healing", green });
  if (typeof detail === "string") expect(check.detail).toBe(detail);
  else expect(check.detail).toMatch(detail);
});
