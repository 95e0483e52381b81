/** Scripts and configuration that do not change from stack to stack: files of this package's `assets` folder. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** @param name the file's path in `render/assets` */
export function asset(name: string): string {
  return readFileSync(join(__dirname, "..", "assets", name), "utf8");
}
