/** Where the proxy of a stack listens. Kept apart from the rest, which takes longer to load than to use. */
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

/** The socket for a stack of the backend at hand, in a folder that only this user may enter. @throws Error when it is another's */
export function socketOf(stack: string, env: NodeJS.ProcessEnv = process.env): string {
  const user = os.userInfo().uid;
  const folder = path.join(env.XDG_RUNTIME_DIR || os.tmpdir(), `moorage-${user}`);
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  const found = fs.lstatSync(folder);
  if (!found.isDirectory() || found.uid !== user || (found.mode & 0o077) !== 0) {
    throw new Error(`${folder} is not a folder of this user alone: remove it`);
  }
  const key = createHash("sha256").update([stack, env.PULUMI_BACKEND_URL ?? "", process.cwd()].join("\n"));
  return path.join(folder, `${key.digest("hex").slice(0, 16)}.sock`);
}

/** What kept the last proxy from serving. */
export function errorFile(socket: string): string {
  return `${socket}.error`;
}

/** Writes a file of this user alone that others read at any moment: they find it whole, or as it was. */
export function writeWhole(file: string, content: string): void {
  const draft = `${file}.${process.pid}`;
  fs.writeFileSync(draft, content, { mode: 0o600 });
  fs.renameSync(draft, file);
}
