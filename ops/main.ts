/** The operator's command line: `npm run -s moorage -- COMMAND`. */
import { cache } from "./cache";
import { UsageError, type Command } from "./command";
import { live } from "./live";
import { render } from "./render";
import { verify } from "./verify";

/** Every command by its name; one more is one line more here. */
const commands: Readonly<Record<string, Command>> = { cache, live, render, verify };

function usage(): string {
  const lines = Object.entries(commands).map(
    ([name, { usage, does }]) => `  ${name} ${usage}\n      ${does}`,
  );
  return `npm run -s moorage -- COMMAND\n\n${lines.join("\n")}`;
}

export async function main([name, ...args]: readonly string[]): Promise<number> {
  if (name === undefined || name === "help" || name === "--help") {
    console.log(usage());
    return name === undefined ? 2 : 0;
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!command) {
    console.error(`there is no command ${name}\n\n${usage()}`);
    return 2;
  }
  try {
    return await command.run(args);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (!(error instanceof UsageError)) {
      console.error(message);
      return 1;
    }
    console.error(`${message}\n\nnpm run -s moorage -- ${name} ${command.usage}`);
    return 2;
  }
}

if (require.main === module) {
  void main(process.argv.slice(2)).then((code) => (process.exitCode = code));
}
