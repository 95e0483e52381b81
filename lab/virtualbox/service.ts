/**
 * Part of the STAND-IN for VBoxManage: the service behind it, as VirtualBox has one (VBoxSVC). `VBoxManage` itself is
 * a shell script that hands its arguments over, as it is called many times and a Node.js of its own takes long to start.
 */
import * as fs from "node:fs";
import * as http from "node:http";
import * as path from "node:path";
import { shellQuote } from "../../toolchain";
import { writeAtomic } from "../exec";
import type { Answer } from "./command";

/** What a call gets; its arguments are those of VBoxManage. */
export type Serve = (args: readonly string[]) => Promise<Answer>;

const socketOf = (folder: string): string => path.join(folder, "service.sock");

/** The program that a hypervisor's owner, and this project, call. */
export const programOf = (folder: string): string => path.join(folder, "bin", "VBoxManage");

/** Answers calls until it is closed. */
export function serveVBoxManage(folder: string, serve: Serve): http.Server {
  const answers = path.join(folder, "answers");
  fs.rmSync(answers, { recursive: true, force: true });
  fs.rmSync(socketOf(folder), { force: true });
  fs.mkdirSync(answers, { recursive: true, mode: 0o700 });
  writeProgram(folder, answers);
  let calls = 0;
  const answer = async (request: http.IncomingMessage): Promise<string> => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const name = String((calls += 1));
    const { stdout, stderr, code } = await serve(
      Buffer.concat(parts).toString("utf8").split("\0").slice(0, -1),
    );
    fs.writeFileSync(path.join(answers, `${name}.out`), stdout);
    fs.writeFileSync(path.join(answers, `${name}.err`), stderr);
    return `${name} ${code}`;
  };
  const server = http.createServer((request, response) => {
    answer(request).then(
      (text) => response.end(text),
      () => response.destroy(),
    );
  });
  return server.listen(socketOf(folder));
}

function writeProgram(folder: string, answers: string): void {
  const text = `#!/bin/sh
# A STAND-IN for VBoxManage; what it does not model is said in lab/virtualbox/command.ts.
reply=$(for each; do printf '%s\\0' "$each"; done |
  curl --silent --unix-socket ${shellQuote(socketOf(folder))} --data-binary @- http://service/) || {
  echo "VBoxManage: error: Failed to create the VirtualBox object! (stand-in: its service does not run)" >&2; exit 1; }
answer=${shellQuote(answers)}/\${reply% *}
cat "$answer.out"; cat "$answer.err" >&2
rm -f "$answer.out" "$answer.err"
exit "\${reply#* }"
`;
  writeAtomic(programOf(folder), text, 0o755);
}
