import * as fs from "node:fs";
import * as path from "node:path";
import { expect, test } from "vitest";
import { configurationReference } from "../../../config/reference";
import { project } from "../../support/stacks";

test("docs/configuration.md says what the schemas say; `npm run -s docs` writes it", () => {
  const page = fs.readFileSync(path.join(project, "docs", "configuration.md"), "utf8");
  expect(page).toBe(configurationReference());
});
