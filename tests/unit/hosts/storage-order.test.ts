import { describe, expect, it } from "vitest";
import type { StorageOrderInputs } from "@moorage/hosts";
import { noteFound } from "../../../hosts/src/services/found";
import { programIn, storageOrder } from "../../../hosts/src/storage/order";
import { logged } from "./support/stop";

// Without nodes there is nobody to ask: what is decided here is decided from the inputs alone.
const inputs: StorageOrderInputs = { nodes: [], services: {}, shape: "s", common: "c", image: "sha256:1" };

describe("the order in which MinIO's members are changed", () => {
  it("is none where there is no MinIO yet", async () => {
    const { outs } = await storageOrder.create(inputs);
    expect(outs).toEqual({ ...inputs, oneByOne: false });
    expect(storageOrder.diff(outs, inputs).changes).toBe(false);
  });

  const state = { ...inputs, oneByOne: false };

  it("is one by one for what members need not have in common, and a preview says so", async () => {
    const changed = { ...inputs, shape: "t" };
    expect(await storageOrder.update("", state, changed)).toEqual({ ...changed, oneByOne: true });
    expect(storageOrder.diff(state, changed).changes).toBe(true);
    expect(logged.join()).toMatch(/this update: the members of MinIO are changed one by one, each when/);
  });

  it("is all together for settings that they have in common", async () => {
    const changed = { ...inputs, common: "d", shape: "t" };
    expect((await storageOrder.update("", state, changed)).oneByOne).toBe(false);
    logged.length = 0;
    storageOrder.diff(state, changed);
    expect(logged.join()).toMatch(/all members of MinIO restart together, and the registry has no store/);
  });

  it("is all together for an image that nobody can ask for its version", async () => {
    const changed = { ...inputs, image: "sha256:2" };
    expect((await storageOrder.update("", state, changed)).oneByOne).toBe(false);
    logged.length = 0;
    storageOrder.diff(state, changed);
    expect(logged.join()).toMatch(/one by one.*if the image is another version of it, all members/);
  });

  it("is one by one for members that were changed by hand, even where it was all together before", async () => {
    const mended = { ...inputs, mended: true, run: "now" };
    expect(storageOrder.diff(state, mended).changes).toBe(true);
    const outs = await storageOrder.update("", state, mended);
    expect(outs).toEqual({ ...mended, oneByOne: true });
    // A refresh reads back what was found, and the next run finds nothing.
    expect(storageOrder.diff(outs, mended).changes).toBe(false);
    expect(storageOrder.diff(outs, { ...inputs, mended: false, run: "next" }).changes).toBe(false);
    expect((await storageOrder.update("", state, { ...mended, common: "d" })).oneByOne).toBe(false);
  });

  it("goes by what a refresh has found in the same run, of which the program does not know", () => {
    const now = { ...inputs, services: { coreos1: "minio-coreos1" }, mended: false, run: "now" };
    expect(storageOrder.diff(state, now).changes).toBe(false);
    noteFound("minio-coreos1", true);
    expect(storageOrder.diff(state, now).changes).toBe(true);
    expect(storageOrder.diff({ ...state, run: "now" }, now).changes).toBe(false);
    noteFound("minio-coreos1", false);
    expect(storageOrder.diff(state, now).changes).toBe(false);
  });

  it("takes a release for what it is called, and another build for its program", () => {
    const sum = "ab".repeat(32);
    const said = (version: string) =>
      `minio version ${version} (commit-id=x)\nRuntime: go\n${sum}  /usr/bin/minio\n`;
    expect(programIn(said("RELEASE.2025-09-07T16-13-09Z"))).toBe("RELEASE.2025-09-07T16-13-09Z");
    expect(programIn(said("DEVELOPMENT.GOGET"))).toBe(sum);
    expect(programIn("sh: minio: not found")).toBeUndefined();
  });
});
