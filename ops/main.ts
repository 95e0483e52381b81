/** The operator's commands: `npm run -s moorage -- COMMAND`. */
import { UsageError, type Command } from "./command";
import { verifyCommand } from "./verify";

const commands: Readonly<Record<string, Command>> = {
  verify: verifyCommand,
};

function usage(): string {
  const lines = Object.entries(commands).map(([name, { usage: text }]) => `  ${name} ${text}`);
  return `usage: npm run -s moorage -- COMMAND\n\n${lines.join("\n")}`;
}

async function main([name = "", ...args]: string[]): Promise<number> {
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!command) {
    console.error(name === "" ? usage() : `there is no command ${name}\n\n${usage()}`);
    return 2;
  }
  try {
    return await command.run(args);
  } catch (error) {
    if (error instanceof UsageError) {
      console.error(`${error.message}\n\nusage: npm run -s moorage -- ${name} ${command.usage}`);
      return 2;
    }
    console.error(error instanceof Error ? error.message : error);
    return 1;
  }
}

void main(process.argv.slice(2)).then((code) => (process.exitCode = code));
