import { expect, it } from "vitest";
import { UNKNOWN } from "../../../hosts/src/diff";
import { noteFound } from "../../../hosts/src/services/found";
import { rollingOrder } from "../../../hosts/src/services/rolling";
import { logged } from "./support/stop";

const inputs = { what: "registries", shape: "one", services: ["registry-coreos1"] };
const made = { ...inputs, oneByOne: false };
const said = () => logged.filter((line) => line.startsWith("registries: "));

it("makes services together, and changes them one by one from then on", async () => {
  const { outs } = await rollingOrder.create(inputs);
  expect(outs).toEqual(made);
  expect(rollingOrder.diff(outs, inputs)).toMatchObject({ changes: false });
  expect(said()).toEqual([]);
  const other = { ...inputs, shape: "two" };
  expect(rollingOrder.diff(outs, other)).toMatchObject({ changes: true, replaces: [] });
  expect(said()).toEqual([
    "registries: this update changes them one by one, each when the one before it serves",
  ]);
  expect(await rollingOrder.update("rolling-order", outs, other)).toEqual({ ...other, oneByOne: true });
});

it("says nothing of what is not known yet", () => {
  expect(rollingOrder.diff(made, { ...inputs, shape: UNKNOWN })).toMatchObject({ changes: true });
  expect(said()).toEqual([]);
});

it("changes them one by one where a refresh has found one changed by hand, in this run or before it", async () => {
  const now = { ...inputs, mended: false, run: "now" };
  expect(rollingOrder.diff(made, now)).toMatchObject({ changes: false });
  expect(rollingOrder.diff(made, { ...now, mended: true })).toMatchObject({ changes: true });
  noteFound("registry-coreos1", true);
  expect(rollingOrder.diff(made, now)).toMatchObject({ changes: true });
  const outs = await rollingOrder.update("rolling-order", made, now);
  expect(outs).toEqual({ ...now, oneByOne: true });
  // A refresh reads back what it was.
  expect(rollingOrder.diff(outs, now)).toMatchObject({ changes: false });
  noteFound("registry-coreos1", false);
});
