import { verify as look } from "@moorage/hosts";
import { parsed } from "./arguments";
import type { Command } from "./command";
import { verifyText } from "./verifyText";

/** Looks at a running stack; 1 when anything is red. */
export const verify: Command = {
  usage: "[--stack S] [--json] [--verbose] [--full]",
  does:
    "looks at a running stack, and tells what is not as it should be; changes nothing\n" +
    "      --stack    the stack to look at; the selected one by default\n" +
    "      --json     the same facts for other programs\n" +
    "      --verbose  the overlay network as each node sees it\n" +
    "      --full     whole ids",
  async run(args) {
    const { stack, json, verbose, full } = optionsOf(args);
    const report = await look(stack);
    process.stdout.write(
      json ? `${JSON.stringify(report, null, 2)}\n` : verifyText(report, { verbose, full }),
    );
    return report.green ? 0 : 1;
  },
};

function optionsOf(args: readonly string[]) {
  const flag = { type: "boolean", default: false } as const;
  const options = { stack: { type: "string" }, json: flag, verbose: flag, full: flag } as const;
  return parsed({ args: [...args], options }).values;
}
