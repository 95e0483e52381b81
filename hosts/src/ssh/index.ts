export { brief, patient } from "./connect";
export type { Patience } from "./connect";
export { exec, runScript } from "./exec";
export type { ExecOptions, ExecResult } from "./exec";
export { fingerprint } from "./keys";
export { closeConnections, couldNotAsk, dropConnection, openTcp, openUnixSocket, withHost } from "./pool";
export { commandLine, quote } from "./quote";
export { stats as sshStats } from "./stats";
export type { SshStats } from "./stats";
