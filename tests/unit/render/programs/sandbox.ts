/** The configuration of nginx and HAProxy as a folder on this machine. */
import * as fs from "node:fs";
import * as path from "node:path";
import { proxiesFiles, proxyMounts, type ProxiesArgs } from "@moorage/render";

/** What apply.sh calls a version. */
export const version = "0123456789abcdef-1";

/**
 * Writes a program's files as apply.sh does.
 * @param instead texts of them, and what replaces these
 * @throws Error if one of the texts is not there
 */
export function writeVersion(
  folder: string,
  program: keyof typeof proxyMounts,
  args: ProxiesArgs,
  instead: Readonly<Record<string, string>>,
): void {
  const wanted = `${proxyMounts[program].folder}/wanted/`;
  const files = Object.entries(proxiesFiles(args).files).filter(([file]) => file.startsWith(wanted));
  const used = new Set<string>();
  for (const [file, { content }] of files) {
    let text = content;
    for (const [before, after] of Object.entries(instead)) {
      if (text.includes(before)) used.add(before);
      text = text.replaceAll(before, after);
    }
    fs.writeFileSync(path.join(folder, file.slice(wanted.length)), text);
  }
  const unused = Object.keys(instead).filter((before) => !used.has(before));
  if (unused.length > 0) throw new Error(`not in the configuration of ${program}: ${unused.join(", ")}`);
}
