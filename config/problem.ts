/** One mistake: where, what was found there, what is wanted. */
export interface Problem {
  readonly path: string;
  readonly found: string;
  readonly wanted: string;
}

/** All mistakes of a configuration at once, one a line. */
export class ConfigError extends Error {
  constructor(readonly problems: readonly Problem[]) {
    const lines = problems.map((one) => `  moorage:${one.path}: found ${one.found}; wanted ${one.wanted}`);
    const count = problems.length === 1 ? "one mistake" : `${problems.length} mistakes`;
    super(`The stack's configuration has ${count}; nothing was touched.\n${lines.join("\n")}`);
    this.name = "ConfigError";
  }
}
