import * as fs from "node:fs";
import * as path from "node:path";
import type { Setting } from "./setting";
import type { PluginPin } from "./versions";

/** Whether this checkout has something to take the place of a published plugin. */
export function hasStandIn(setting: Setting, plugin: PluginPin): boolean {
  return fs.existsSync(path.join(setting.checkout, "lab/plugins", `${plugin.name}.ts`));
}

/** Writes the program that starts the stand-in of a plugin, `pulumi-resource-NAME` in `folder`; gives back its path. */
export function writeStarter(setting: Setting, plugin: PluginPin, folder: string): string {
  const file = path.join(folder, `pulumi-resource-${plugin.name}`);
  const loader = path.join(setting.checkout, "node_modules/tsx/dist/loader.mjs");
  const main = path.join(setting.checkout, "lab/plugins/main.ts");
  const command = ["exec", "node", "--import", `file://${loader}`, main, plugin.name, plugin.version];
  fs.mkdirSync(folder, { recursive: true });
  const temporary = `${file}.${process.pid}`;
  fs.writeFileSync(temporary, `#!/bin/sh\n${command.join(" ")} "$@"\n`, { mode: 0o755 });
  fs.renameSync(temporary, file);
  return file;
}
