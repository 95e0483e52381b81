import * as pulumi from "@pulumi/pulumi";
import { expect, test } from "vitest";
import { loadConfig } from "../../../config";

test("a subject by the name of an object's own member is unknown, as any other", () => {
  pulumi.runtime.setAllConfig({ "moorage:__proto__": "{}", "moorage:toString": "x", "other:key": "x" });
  expect(loadConfig).toThrow(/moorage:__proto__: found an unknown key/);
  expect(loadConfig).toThrow(/moorage:toString: found an unknown key/);
});
