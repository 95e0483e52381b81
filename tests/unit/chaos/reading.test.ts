import { expect, test } from "vitest";
import { readParts, type Read } from "../../chaos/reading";

const part = (name: string, count: number): Read[] =>
  Array.from({ length: count }, (_, index) => ({ path: `/${name}/${index}`, method: "GET", digest: "d" }));

test("what was acknowledged is read one after the other within each part, and all of it", async () => {
  const seen: string[] = [];
  const said: string[] = [];
  const wrong = async ({ path }: Read): Promise<string | undefined> => {
    seen.push(path);
    await new Promise(setImmediate);
    return path === "/a/1" ? "other" : undefined;
  };
  await readParts([part("a", 3), part("b", 2), part("c", 1)], 2, wrong, (problem) => said.push(problem));
  expect(seen.slice().sort()).toEqual(["/a/0", "/a/1", "/a/2", "/b/0", "/b/1", "/c/0"]);
  expect(seen.filter((path) => path.startsWith("/a/"))).toEqual(["/a/0", "/a/1", "/a/2"]);
  expect(said).toEqual(["other"]);
});

test("it is not read on where enough is wrong, which is told", async () => {
  let asked = 0;
  const said: string[] = [];
  const silent = async (): Promise<string> => {
    asked += 1;
    await new Promise(setImmediate);
    return "nobody answers";
  };
  await readParts([part("a", 400), part("b", 400)], 8, silent, (problem) => said.push(problem));
  expect(said).toHaveLength(51);
  expect(said.at(-1)).toBe("and maybe more: the rest was not read");
  expect(asked).toBeLessThan(60);
});
