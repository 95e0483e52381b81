import { expect, it } from "vitest";
import { twoHosts } from "./keepalivedHost";

const { one } = twoHosts();

it("keepalived accepts what a node gets, but not an interface that is not there", async () => {
  one.give();
  expect((await one.tried()).code).toBe(0);
  one.give({ interface: "eth9" });
  expect((await one.tried()).code).not.toBe(0);
});
