import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { checkFolder, describeInstance, findInstance, ownerFile, platformNamed } from "../../../lab/instance";

let folder: string;

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-test-"));
  vi.stubEnv("MOORAGE_LAB_DIR", path.join(folder, "labs"));
  vi.stubEnv("MOORAGE_LAB", "3");
});

afterEach(() => {
  vi.unstubAllEnvs();
  fs.rmSync(folder, { recursive: true });
});

function owned(owner: string): void {
  fs.mkdirSync(path.dirname(ownerFile(3)), { recursive: true });
  fs.writeFileSync(ownerFile(3), `${owner}\n`);
}

test("a lab of another checkout is handled from there alone", () => {
  owned(folder);
  expect(() => findInstance()).toThrow(`lab 3 belongs to ${folder}: handle it from there`);
});

test("a lab whose checkout is gone, or that nobody has, is anybody's", () => {
  expect(findInstance()?.number).toBe(3);
  owned(path.join(folder, "gone"));
  expect(findInstance()?.number).toBe(3);
});

test("a folder that mounts cannot name is refused", () => {
  vi.stubEnv("MOORAGE_LAB_DIR", path.join(folder, "my labs"));
  expect(() => checkFolder(describeInstance(3))).toThrow(
    /has a blank, .*: set MOORAGE_LAB_DIR to another folder/,
  );
});

test("a platform is one of those there are, or none", () => {
  expect(platformNamed("existing", "--platform")).toBe("existing");
  expect(platformNamed("", "--platform")).toBeUndefined();
  expect(() => platformNamed("cloud", "--platform")).toThrow(
    '--platform is "cloud": give one of virtualbox, metal, existing',
  );
});
