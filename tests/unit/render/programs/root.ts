import * as fs from "node:fs";
import * as path from "node:path";
import { cacheRoot } from "../../../../toolchain";

/** The Debian root that the images' programs are taken from; a test without it fails, it is not left out. */
function donorRoot(file: string): string {
  const roots = path.join(cacheRoot(process.env), "roots");
  const names = fs.existsSync(roots) ? fs.readdirSync(roots) : [];
  const found = names
    .filter((name) => name.startsWith("forky-") && fs.existsSync(path.join(roots, name, file)))
    .sort()[0];
  if (found === undefined) {
    throw new Error(`no Debian root with ${file} in ${roots}: make test makes it`);
  }
  return path.join(roots, found);
}

/** Command line that runs a program of the root with the root's own libraries, without entering it. */
export function program(file: string): string[] {
  const root = donorRoot(file);
  return [
    path.join(root, "usr/lib64/ld-linux-x86-64.so.2"),
    "--library-path",
    path.join(root, "usr/lib/x86_64-linux-gnu"),
    path.join(root, file),
  ];
}

export function inRoot(file: string): string {
  return path.join(donorRoot(file), file);
}
