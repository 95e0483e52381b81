import * as fs from "node:fs";
import * as path from "node:path";
import { expect, it } from "vitest";
import { project } from "../../support/stacks";

const folder = path.join(project, "docs");
const inDocs = (fs.readdirSync(folder, { recursive: true }) as string[]).map((name) => `docs/${name}`);
const pages = ["README.md", ...inDocs.filter((name) => name.endsWith(".md"))];

it.each(pages)("every link of %s leads to a file", (page) => {
  const text = fs.readFileSync(path.join(project, page), "utf8");
  const links = [...text.matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)].map(([, file = ""]) => file);
  const missing = links.filter((file) => !fs.existsSync(path.join(project, path.dirname(page), file)));
  expect(missing).toEqual([]);
});
