import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { archiveFolder, checkedArchive } from "./plugins";
import { ToolError } from "./run";
import type { Setting } from "./setting";

const archiveName = "coreos-cloudinit-linux-amd64.tar.gz";
const program = "coreos-cloudinit";

/** The program that validates and applies cloud-config, or why there is none here. */
export type Cloudinit = { readonly bin: string } | { readonly missing: string };

/** Unpacks it from the folder of archives, once. It comes from nowhere else: its sources are in no registry. */
export function ensureCloudinit(setting: Setting): Cloudinit {
  const archive = checkedArchive(setting, archiveName);
  if (archive === undefined) {
    const folder = archiveFolder(setting);
    return {
      missing: folder
        ? `${folder} has no ${archiveName}`
        : `there is no folder of archives with ${archiveName} (MOORAGE_PLUGINS)`,
    };
  }
  const sum = setting.pins.archives[archiveName] ?? "";
  const home = path.join(setting.cache, "tools", `${program}-${sum.slice(0, 12)}`);
  const bin = path.join(home, program);
  if (!fs.existsSync(bin)) {
    const partial = `${home}.${process.pid}`;
    fs.mkdirSync(partial, { recursive: true });
    execFileSync("tar", ["-xzf", archive, "-C", partial]);
    if (!fs.existsSync(path.join(partial, program))) {
      throw new ToolError(`${archive} holds no ${program}: fetch it anew`);
    }
    fs.rmSync(home, { recursive: true, force: true });
    fs.renameSync(partial, home);
  }
  return { bin };
}
