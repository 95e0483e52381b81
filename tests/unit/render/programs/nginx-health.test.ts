import { spawn } from "node:child_process";
import * as path from "node:path";
import { nginxHealthTest } from "@moorage/render";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { Front } from "./front";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const port = 25447;
let front: Front;
beforeAll(async () => {
  front = new Front(port, {}, { registries: [{ name: "one", port: 1 }] });
  await front.start();
});
afterAll(() => front.stop());

/** What Docker is told, and the seconds that took. */
async function look(): Promise<{ code: unknown; seconds: number }> {
  const [, command = "", ...rest] = nginxHealthTest(port, path.join(front.folder, "run"), 1);
  const begun = Date.now();
  const code = await new Promise((resolve) => spawn(command, rest).on("exit", resolve));
  return { code, seconds: (Date.now() - begun) / 1000 };
}

describe("Docker's look at nginx", () => {
  it("tells of one that is new at once, and asks six times afterwards", async () => {
    const first = await look();
    expect(first.code).toBe(0);
    expect(first.seconds).toBeLessThan(4);
    const second = await look();
    expect(second.code).toBe(0);
    expect(second.seconds).toBeGreaterThan(5.9);
  });

  it("ends at the first no", async () => {
    const begun = look();
    await new Promise((resolve) => setTimeout(resolve, 500));
    await front.stop();
    const { code, seconds } = await begun;
    expect(code).toBe(1);
    expect(seconds).toBeLessThan(5.5);
    expect((await look()).code).toBe(1);
  });
});
