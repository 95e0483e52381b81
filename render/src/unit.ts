/** systemd unit files. */

/** A directive given several times is a list. */
export type UnitValue = string | number | boolean | readonly string[];

/** Section name to its directives, in order; `undefined` leaves a directive out. */
export type UnitSections = Readonly<Record<string, Readonly<Record<string, UnitValue | undefined>>>>;

export function renderUnit(sections: UnitSections): string {
  return Object.entries(sections)
    .map(([name, directives]) => `[${name}]\n${Object.entries(directives).flatMap(directiveLines).join("")}`)
    .join("\n");
}

function directiveLines([name, value]: [string, UnitValue | undefined]): string[] {
  if (value === undefined) {
    return [];
  }
  const values: readonly string[] = Array.isArray(value)
    ? value
    : [scalar(value as string | number | boolean)];
  return values.map((text) => {
    if (text.includes("\n")) {
      throw new Error(`${name}= cannot hold a line break: ${JSON.stringify(text)}`);
    }
    return `${name}=${text}\n`;
  });
}

function scalar(value: string | number | boolean): string {
  return typeof value === "boolean" ? (value ? "yes" : "no") : String(value);
}

/** One word of `ExecStart=`: quoted, with `%` and `$` taken literally. */
export function unitArgument(argument: string): string {
  const literal = argument.replaceAll("%", "%%").replaceAll("$", "$$$$");
  if (/^[A-Za-z0-9_@%$+=:,./-]+$/.test(literal)) {
    return literal;
  }
  return `"${literal.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

export function unitCommand(argv: readonly string[]): string {
  return argv.map(unitArgument).join(" ");
}

/** One assignment of `Environment=`; `$` has no meaning there, `%` has. */
export function unitEnvironment(name: string, value: string): string {
  const literal = value.replaceAll("%", "%%").replaceAll("\\", "\\\\").replaceAll('"', '\\"');
  return `"${name}=${literal}"`;
}
