/** The one place where arguments become a line for a POSIX shell. */

const plain = /^[A-Za-z0-9_@%+=:,./-]+$/;

/** @throws when an argument holds a NUL, which no command can be given. */
export function quote(argument: string): string {
  if (argument.includes("\0")) throw new Error("a command's argument holds a NUL byte");
  return plain.test(argument) ? argument : `'${argument.replaceAll("'", `'\\''`)}'`;
}

export function commandLine(argv: readonly string[]): string {
  if (argv.length === 0) throw new Error("an empty command");
  return argv.map(quote).join(" ");
}
