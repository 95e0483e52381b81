import * as fs from "node:fs";
import * as path from "node:path";
import { expect, it } from "vitest";
import { checkout } from "../../../lab/instance";
import { TOOLS } from "../../../lab/lab";

/** Part of every Debian, the smallest one too. */
const everywhere = ["mount"];

it("whatever the lab asks a machine for is installed by a package that the bootstrap names", () => {
  const listed = fs.readFileSync(path.join(checkout(), "toolchain/packages.txt"), "utf8");
  const packages = listed.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  const wanted = [...new Set(Object.values(TOOLS))];
  expect(wanted.filter((name) => !packages.includes(name)).sort()).toEqual(everywhere);
});
