import * as path from "node:path";
import { buildSync } from "esbuild";

const lab = path.join(__dirname, "..");

/** Puts the stand-in for VBoxManage into one JavaScript file: it is called many times, and starts several times faster. */
export function bundleVBoxManage(file: string): void {
  buildSync({
    entryPoints: [path.join(lab, "virtualbox", "vboxmanage.ts")],
    outfile: file,
    bundle: true,
    platform: "node",
    logLevel: "warning",
    // What looks for files beside itself does so from the lab's folder.
    define: { __dirname: JSON.stringify(lab) },
  });
}
