import * as fs from "node:fs";
import * as path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { builtFolder, ensureBuilt } from "../../../toolchain/build";
import { applyChange, readPatch } from "../../../toolchain/patch";
import { RECIPES } from "../../../toolchain/recipes";
import { CHECKOUT, World } from "./world";

let world: World;
beforeEach(() => (world = new World()));
afterEach(() => world.remove());

const minio = RECIPES.find(({ name }) => name === "minio") ?? RECIPES[0]!;
const PATCH = `Why it is so.

--- a/one/file.go
+++ b/one/file.go
@@ -1,3 +1,3 @@ const (
 first
-second
+other
+further
 third
@@ -9,2 +10,1 @@
 ninth
-tenth
--- a/two.go
+++ b/two.go
@@ -1,1 +1,1 @@
-all
+nothing
`;

it("is read as what stands in each place, and what is to", () => {
  expect(readPatch(PATCH)).toEqual([
    { file: "one/file.go", before: "first\nsecond\nthird\n", after: "first\nother\nfurther\nthird\n" },
    { file: "one/file.go", before: "ninth\ntenth\n", after: "ninth\n" },
    { file: "two.go", before: "all\n", after: "nothing\n" },
  ]);
});

it.each([
  { what: "not there", text: "first\nseconds\n" },
  { what: "there twice", text: "second\n\nsecond\n" },
  { what: "a part of a line", text: "the second\n" },
])("is refused where the source has it $what", ({ text }) => {
  const change = { file: "file.go", before: "second\n", after: "other\n" };
  expect(() => applyChange(text, change)).toThrow("file.go is not the source that its patch was made for");
});

it("is compiled in the place of the source, which stays as it is", async () => {
  world.go("1.26.0");
  const before = builtFolder(world.setting, minio);
  world.write("toolchain/go/minio/why.patch", PATCH);
  const lines = "first\nsecond\nthird\n4\nninth\ntenth\n";
  fs.mkdirSync(path.join(world.source, "one"), { recursive: true });
  fs.writeFileSync(path.join(world.source, "one/file.go"), lines, { mode: 0o444 });
  fs.writeFileSync(path.join(world.source, "two.go"), "all\n");
  fs.writeFileSync(path.join(world.source, "three.go"), "as it is\n");
  const folder = await ensureBuilt(world.setting, minio);
  expect(folder).not.toBe(before);
  expect(fs.readdirSync(folder)).toEqual(["minio"]);
  expect(world.builds()).toEqual([expect.stringMatching(/ -modfile=\S+go\.mod /)]);
  const compiled = (file: string): string => fs.readFileSync(path.join(world.changed, file), "utf8");
  expect(compiled("go.mod")).toMatch(/\nreplace example\.org\/made\/minio => "\S+\/source"\n$/);
  expect(compiled("go.sum")).toBe("");
  expect(compiled("source/one/file.go")).toBe("first\nother\nfurther\nthird\n4\nninth\n");
  expect(compiled("source/two.go")).toBe("nothing\n");
  expect(compiled("source/three.go")).toBe("as it is\n");
  expect(fs.readFileSync(path.join(world.source, "one/file.go"), "utf8")).toBe(lines);
});

it("that fits no more ends the build with the file's name", async () => {
  world.go("1.26.0");
  world.write("toolchain/go/minio/why.patch", PATCH);
  fs.mkdirSync(path.join(world.source, "one"), { recursive: true });
  fs.writeFileSync(path.join(world.source, "one/file.go"), "another version\n");
  await expect(ensureBuilt(world.setting, minio)).rejects.toThrow("one/file.go is not the source");
  expect(world.builds()).toEqual([]);
});

it("of MinIO changes three lines", () => {
  const file = path.join(CHECKOUT, "toolchain/go/minio/silent-peer.patch");
  const changes = readPatch(fs.readFileSync(file, "utf8"));
  expect(changes.map((change) => change.file)).toEqual([
    "internal/grid/connection.go",
    "internal/grid/connection.go",
    "cmd/storage-rest-client.go",
  ]);
});
