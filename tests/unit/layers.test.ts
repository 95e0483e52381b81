import { ESLint } from "eslint";
import { expect, test } from "vitest";
import { project } from "../support/stacks";

const eslint = new ESLint({ cwd: project });

/** The rules that a file of this text would break. */
async function broken(filePath: string, text: string): Promise<string[]> {
  const [result] = await eslint.lintText(text, { filePath: `${project}/${filePath}` });
  return (result?.messages ?? []).map(({ ruleId, message }) => ruleId ?? message);
}

const imported = (from: string) => `import { x } from "${from}";\nexport const y = x;\n`;
const typesOf = (from: string) => `import type { X } from "${from}";\nexport type Y = X;\n`;

// Each is the row of docs/architecture.md that it would break.
test.each([
  ["index.ts", imported("./providers/bucket")],
  ["index.ts", imported("@moorage/hosts")],
  ["config.ts", imported("./components/pki")],
  ["config/some.ts", imported("@moorage/hosts")],
  ["components/some.ts", imported("../hosts/src/log")],
  ["components/edge/some.ts", imported("../../config")],
  ["providers/some.ts", imported("../config/stack")],
  ["hosts/src/some.ts", imported("../../config/stack")],
  ["hosts/src/some.ts", imported("@moorage/render")],
  ["hosts/src/some.ts", imported("../../render/src/text")],
  ["hosts/src/some.ts", imported("@pulumi/pulumi")],
  ["hosts/src/some.ts", typesOf("@pulumi/pulumi")],
  ["render/src/some.ts", imported("@moorage/hosts")],
  ["render/src/some.ts", typesOf("@moorage/hosts")],
  ["render/src/some.ts", imported("@pulumi/pulumi")],
  ["render/src/some.ts", imported("node:fs")],
  ["render/src/some.ts", imported("node:fs/promises")],
  ["render/src/some.ts", imported("node:net")],
  ["render/src/some.ts", imported("node:child_process")],
  ["render/src/some.ts", imported("fs")],
  ["render/src/some.ts", imported("ssh2")],
  ["ops/some.ts", imported("../components/pki")],
  ["toolchain/some.ts", imported("../lab/exec")],
])("%s may not have %j", async (file, text) => {
  expect(await broken(file, text)).toEqual(["@typescript-eslint/no-restricted-imports"]);
});

test.each([
  "import * as pulumi from '@pulumi/pulumi';\nexport const x = new pulumi.Config('moorage');\n",
  "import { Config } from '@pulumi/pulumi';\nexport const x = new Config('moorage');\n",
])("components read no configuration of Pulumi's: %j", async (text) => {
  expect(await broken("components/some.ts", text)).toContain("no-restricted-syntax");
});

test.each([
  ["index.ts", imported("./config")],
  ["components/edge/some.ts", imported("../../config/stack")],
  ["hosts/src/some.ts", typesOf("@moorage/render")],
  ["hosts/src/some.ts", imported("node:net")],
  ["hosts/src/some.ts", imported("../rendered")],
  ["render/src/some.ts", imported("node:crypto")],
  ["render/src/network/some.ts", imported("../text")],
  ["render/src/network/some.ts", imported(".")],
  ["ops/some.ts", imported("./render")],
])("%s may have %j", async (file, text) => {
  expect(await broken(file, text)).toEqual([]);
});
