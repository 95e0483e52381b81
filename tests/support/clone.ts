import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { must } from "../../lab/exec";
import { checkout } from "../../lab/instance";

/** Copies the repository's files as they are now into a new folder, with packages installed and nothing else. */
export async function freshClone(): Promise<string> {
  const folder = await copyOfFiles();
  await must("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: folder });
  await must("npm", ["run", "prepare"], { cwd: folder });
  return folder;
}

/** The files alone, as they are now. */
export async function copyOfFiles(): Promise<string> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-clone-"));
  const copy =
    'git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$1" 2>/dev/null; true';
  await must("sh", ["-c", copy, "sh", folder], { cwd: checkout() });
  return folder;
}
