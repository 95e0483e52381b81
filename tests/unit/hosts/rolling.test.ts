import { expect, it } from "vitest";
import type { RollingOrderInputs } from "../../../hosts/src/contract";
import { UNKNOWN } from "../../../hosts/src/diff";
import { noteFound } from "../../../hosts/src/services/found";
import { rollingOrder } from "../../../hosts/src/services/rolling";
import { afterwards, logged } from "./support/stop";

const inputs = {
  what: "registries",
  shape: "one",
  services: ["registry-coreos1"],
  mended: false,
  run: "now",
};
const made = { ...inputs, run: "before", oneByOne: false };
const announcement = "registries: this update changes them one by one, each when the one before it serves";

it.each<[string, Partial<RollingOrderInputs> & { found?: boolean }, boolean, string[]]>([
  ["do not change", {}, false, []],
  ["change", { shape: "two" }, true, [announcement]],
  ["may change", { shape: UNKNOWN }, true, []],
  ["were changed by hand before this run", { mended: true }, true, [announcement]],
  ["were found changed by hand in this run", { found: true }, true, [announcement]],
])(
  "services are made together, and one by one if they %s",
  async (_what, { found, ...change }, changes, said) => {
    const other = { ...inputs, ...change };
    noteFound("registry-coreos1", found === true);
    afterwards(() => noteFound("registry-coreos1", false));
    expect((await rollingOrder.create(inputs)).outs.oneByOne).toBe(false);
    expect(rollingOrder.diff(made, other)).toMatchObject({ changes, replaces: [] });
    expect(logged.filter((line) => line.startsWith("registries: "))).toEqual(said);
    const outs = await rollingOrder.update("rolling-order", made, other);
    expect(outs).toEqual({ ...other, oneByOne: true });
    if (other.shape !== UNKNOWN) expect(rollingOrder.diff(outs, other).changes).toBe(false);
  },
);
