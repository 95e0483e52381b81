/**
 * Pulumi takes a trace at every resource and every promise, and ts-node maps each frame of it to the sources: a fifth of
 * the program's time. Those that Pulumi takes have no message, and stay as Node.js has them; an error's are mapped.
 */
export function mapTracesOfErrorsAlone(): void {
  const map = Error.prepareStackTrace;
  if (map === undefined) return;
  Error.prepareStackTrace = (error, frames) =>
    error.message === "" ? [error, ...frames].join("\n    at ") : map(error, frames);
}
