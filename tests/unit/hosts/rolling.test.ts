import { expect, it } from "vitest";
import { UNKNOWN } from "../../../hosts/src/diff";
import { rollingOrder } from "../../../hosts/src/services/rolling";
import { logged } from "./support/stop";

const inputs = { what: "registries", shape: "one" };
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
