import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { describeInstance } from "../../../lab/instance";
import { VipWatch } from "../../chaos/vip";

/** In place of `ip`: the second node alone has the address. */
const IP = `#!/bin/sh
case $2 in
    *coreos2) echo '[{"operstate":"UP","addr_info":[{}]}]' ;;
    *) echo '[]' ;;
esac
`;

let folder: string;

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-test-"));
  fs.writeFileSync(path.join(folder, "ip"), IP, { mode: 0o755 });
  vi.stubEnv("PATH", `${folder}:${process.env.PATH}`);
});

afterEach(() => {
  vi.unstubAllEnvs();
  fs.rmSync(folder, { recursive: true });
});

test("who has the VIP is looked at in each second, also while this process does nothing else", async () => {
  const watch = await VipWatch.begin(describeInstance(3));
  try {
    const from = Date.now();
    while (Date.now() < from + 3200);
    await vi.waitFor(() => expect(watch.samples.at(-1)?.at).toBeGreaterThan(from + 3000), 5000);
    const seconds = new Set(watch.samples.map(({ at }) => Math.floor(at / 1000)));
    const busy = [1, 2, 3].map((second) => Math.floor(from / 1000) + second);
    // One may be missed where others keep all processors busy.
    expect(busy.filter((second) => seconds.has(second)).length).toBeGreaterThanOrEqual(2);
    expect(watch.samples.every(({ nodes }) => nodes.join() === "coreos2")).toBe(true);
  } finally {
    await watch.stop();
  }
});
