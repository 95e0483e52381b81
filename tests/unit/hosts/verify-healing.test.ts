import { expect, it } from "vitest";
import { healingCheck } from "../../../hosts/src/verify/healing";

it("healing is green while it does what it is for, and red where that takes an operator or a drive", () => {
  const now = 1_800_000_000;
  const at = (...lines: string[]) => healingCheck([`looked=${now - 5} 4`, "all=4", ...lines], now);
  const healed = `healed=${now - 3600}`;
  expect(at(healed)).toEqual({
    name: "healing",
    green: true,
    detail: "all 4 drives hold everything, healed at 2027-01-15T07:00:00Z",
  });
  const wanted = `wanted=${now - 60} a drive was away`;
  expect(at(healed, wanted)).toMatchObject({
    green: true,
    detail:
      "heals within a minute (since 2027-01-15T07:59:00Z: a drive was away; the last time at 2027-01-15T07:00:00Z)",
  });
  expect(at(`doing=${now - 60}`)).toMatchObject({
    green: true,
    detail: "heals since 2027-01-15T07:59:00Z, never before",
  });
  expect(healingCheck([`looked=${now} 3`, "all=4", healed, wanted], now)).toEqual({
    name: "healing",
    green: false,
    detail:
      "3 of 4 drives can be written; heals once all can (since 2027-01-15T07:59:00Z: a drive was away; the last time at 2027-01-15T07:00:00Z)",
    more: ["more: journalctl -b -u moorage-healing.service"],
  });
  expect(at(wanted, `failed=${now - 9} 1 exit code 1: x`).green).toBe(true);
  expect(at(wanted, `failed=${now - 9} 3 exit code 1: x`)).toMatchObject({
    green: false,
    detail: "3 tries failed, goes on: exit code 1: x (never before)",
  });
  expect(at(`wanted=${now - 7200} a drive was away`).detail).toMatch(/^does not heal /);
  for (const looked of ["looked=", `looked=${now - 600} 4`]) {
    expect(healingCheck([looked, "all=4", healed], now)).toMatchObject({
      green: false,
      detail: "nobody looks after the drives: systemctl restart moorage-healing.service",
    });
  }
});
