import { operationNames, providerMethods } from "@moorage/hosts";
import { runtime } from "@pulumi/pulumi";
import { describe, expect, test } from "vitest";
import { providerOf } from "../../providers/operation";

describe.each(operationNames)("the provider of %s", (operation) => {
  test("is less than 1 KB in the state and holds no secret", async () => {
    const provider = providerOf(operation);
    const { text, containsSecrets } = await runtime.serializeFunction(() => provider);
    expect(text.length).toBeLessThan(1024);
    expect(containsSecrets).toBe(false);
  });

  test("has all methods of a provider", () => {
    expect(Object.keys(providerMethods(operation)).sort()).toEqual([
      "create",
      "delete",
      "diff",
      "read",
      "update",
    ]);
  });
});
