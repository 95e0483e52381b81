import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { run } from "../../../lab/exec";
import { isReadOnly } from "../../../lab/faults/dataDisk";
import { shellIn } from "../../../lab/faults/place";
import { processesOfProgram } from "../../../lab/faults/processes";
import { describeInstance, hostNamed } from "../../../lab/instance";
import { watchBites } from "../../chaos/bites";
import type { Step } from "../../chaos/plan";

let folder: string;

vi.mock("../../../lab/faults/dataDisk", async (original) => ({
  ...(await original<object>()),
  dataFolder: () => Promise.resolve(folder),
  isReadOnly: vi.fn(),
}));
vi.mock("../../../lab/faults/place", () => ({ shellIn: vi.fn() }));
vi.mock("../../../lab/faults/processes", async (original) => ({
  ...(await original<object>()),
  processesOfProgram: vi.fn(),
}));

const instance = describeInstance(3);
const place = { instance, host: hostNamed(instance, "coreos2") };

/** In place of a disk: takes a file of that many MiB. */
const disk = (free: number): string => `#!/bin/sh
for word; do case $word in count=*) [ "\${word#count=}" -le ${free} ] || exit 1 ;; esac; done
`;

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-test-"));
  vi.mocked(shellIn).mockImplementation((_place, line) =>
    run("sh", ["-c", line], { env: { PATH: `${folder}:${process.env.PATH}` } }),
  );
});

afterEach(() => {
  vi.clearAllMocks();
  fs.rmSync(folder, { recursive: true });
});

const missed = async (step: Step): Promise<string[]> =>
  (await watchBites(step, [place], ["minio"]))().then((found) =>
    found.map((one) => one.replace("it does not bite on coreos2: ", "")),
  );

test("a disk is full where it takes no more than a push gives back that was under way", async () => {
  const full: Step = { fault: "full-disk", role: "minio" };
  fs.writeFileSync(path.join(folder, "dd"), disk(40), { mode: 0o755 });
  expect(await missed(full)).toEqual([]);
  fs.writeFileSync(path.join(folder, "dd"), disk(60), { mode: 0o755 });
  expect(await missed(full)).toEqual(["its data disk can be written"]);
});

describe("a disk is read-only", () => {
  const step: Step = { fault: "read-only-disk", role: "minio" };
  beforeEach(() => {
    fs.writeFileSync(path.join(folder, "touch"), "#!/bin/sh\nexit 1\n", { mode: 0o755 });
    vi.mocked(processesOfProgram).mockResolvedValue([42]);
  });

  test("where MinIO cannot write either, sooner or later", async () => {
    vi.mocked(isReadOnly).mockResolvedValueOnce(false).mockResolvedValue(true);
    expect(await missed(step)).toEqual([]);
    expect(vi.mocked(isReadOnly).mock.calls.at(-1)).toEqual([place, 42]);
  });

  test("only in part where MinIO still writes", async () => {
    vi.mocked(isReadOnly).mockResolvedValue(false);
    expect(await missed(step)).toEqual(["minio can write to it"]);
  });
});
