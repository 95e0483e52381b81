import { runtime } from "@pulumi/pulumi";
import * as hosts from "@moorage/hosts";
import { describe, expect, test } from "vitest";
import { providerOf } from "../../providers/operation";

const operations = [
  "preflight",
  "installation",
  "dataDisk",
  "nodeFiles",
  "loadedImages",
  "swarmMember",
  "converged",
  "swept",
  "bucket",
  "acceptance",
] as const;

describe.each(operations)("the provider of %s", (operation) => {
  test("is less than 1 KB in the state and holds no other code", async () => {
    const { text, containsSecrets } = await runtime.serializeFunction(() => providerOf(operation, ["one"]));
    expect(text.length).toBeLessThan(3000);
    expect(containsSecrets).toBe(false);
  });

  test("calls an operation that exists", () => {
    expect(Object.keys(hosts[operation]).sort()).toEqual(["create", "delete", "diff", "read", "update"]);
  });
});
