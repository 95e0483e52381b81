import { expect, it } from "vitest";
import type { StorageOrderInputs } from "@moorage/hosts";
import { noteFound } from "../../../hosts/src/services/found";
import { programIn, storageOrder } from "../../../hosts/src/storage/order";
import { afterwards, logged } from "./support/stop";

// Without nodes nothing is asked: what is decided here is decided from the inputs alone.
const services = { coreos1: "minio-coreos1" };
const inputs: StorageOrderInputs = {
  ...{ nodes: [], services, shape: "s", common: "c", image: "sha256:1" },
  ...{ mended: false, run: "now" },
};
const state = { ...inputs, run: "before", oneByOne: false };
const one = /this update: the members of MinIO are changed one by one, each when[^;]*$/;
const all = /this update: all members of MinIO restart together, and the registry has no store/;

it.each<[string, Partial<StorageOrderInputs> & { found?: boolean }, boolean, RegExp]>([
  ["what members need not have in common", { shape: "t" }, true, one],
  ["settings that they have in common", { common: "d", shape: "t" }, false, all],
  [
    "an image whose version cannot be asked",
    { image: "sha256:2" },
    false,
    /one by one.*if the image is another/,
  ],
  ["a member that was changed by hand", { mended: true }, true, one],
  ["a member found changed by hand in this run", { found: true }, true, one],
  ["the same and settings in common", { mended: true, common: "d" }, false, all],
])(
  "members of MinIO change one by one or together, for %s",
  async (_what, { found, ...change }, oneByOne, said) => {
    noteFound("minio-coreos1", found === true);
    afterwards(() => noteFound("minio-coreos1", false));
    const changed = { ...inputs, ...change };
    expect(storageOrder.diff(state, changed).changes).toBe(true);
    expect(logged.at(-1)).toMatch(said);
    const outs = await storageOrder.update("", state, changed);
    expect(outs).toEqual({ ...changed, oneByOne });
    expect(storageOrder.diff(outs, changed).changes).toBe(false);
  },
);

it("members of MinIO are made together", async () => {
  const { outs } = await storageOrder.create(inputs);
  expect(outs).toEqual({ ...inputs, oneByOne: false });
  expect(storageOrder.diff(state, inputs).changes).toBe(false);
});

it("a release is known by its name, another build by its program", () => {
  const sum = "ab".repeat(32);
  const said = (version: string) =>
    `minio version ${version} (commit-id=x)\nRuntime: go\n${sum}  /usr/bin/minio\n`;
  expect(programIn(said("RELEASE.2025-09-07T16-13-09Z"))).toBe("RELEASE.2025-09-07T16-13-09Z");
  expect(programIn(said("DEVELOPMENT.GOGET"))).toBe(sum);
  expect(programIn("sh: minio: not found")).toBeUndefined();
});
