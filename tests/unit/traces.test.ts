import { afterEach, expect, it } from "vitest";
import { mapTracesOfErrorsAlone } from "../../components/traces";

const before = Error.prepareStackTrace;
afterEach(() => void (Error.prepareStackTrace = before));

it("an error's trace is mapped, and one that is taken without a reason stays as it is", () => {
  Error.prepareStackTrace = () => "mapped";
  mapTracesOfErrorsAlone();
  expect(new Error("why").stack).toBe("mapped");
  expect(new Error().stack).toMatch(/^Error\n {4}at .+traces\.test\.ts:\d+:\d+/);
});

it("where nothing maps traces, all is as it was", () => {
  Reflect.deleteProperty(Error, "prepareStackTrace");
  mapTracesOfErrorsAlone();
  expect(Error.prepareStackTrace).toBeUndefined();
});
