/** Progress and warnings: one line each, to stderr unless told otherwise. */

export type Log = (line: string) => void;

const toStderr: Log = (line) => process.stderr.write(`${line}\n`);
let current: Log = toStderr;

/** Sends progress and warnings elsewhere; without an argument back to stderr. */
export function setLog(log: Log = toStderr): void {
  current = log;
}

export function note(node: string, text: string): void {
  current(`${node}: ${text}`);
}

export function warn(node: string, text: string): void {
  current(`warning: ${node}: ${text.split("\n")[0]}`);
}
