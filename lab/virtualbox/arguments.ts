/** Part of the STAND-IN for VBoxManage: its command lines. */
import { wrong } from "./failure";

/** Options by name without hyphens, each as often as it was given. An option that takes nothing has the value "". */
export interface Parsed {
  readonly words: readonly string[];
  readonly options: readonly (readonly [string, string])[];
  value(name: string): string | undefined;
}

/** `flags` take no value; `known`, where given, is all there is. */
export function parse(
  args: readonly string[],
  flags: readonly string[],
  known?: ReadonlySet<string>,
): Parsed {
  const words: string[] = [];
  const options: [string, string][] = [];
  const rest = [...args];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (!word.startsWith("--")) {
      words.push(word);
      continue;
    }
    const [name = "", ...after] = word.split("=");
    if (known && !known.has(name.replace(/[1-8]$/, ""))) throw wrong(`Unknown option: ${name}`);
    const plain = name.replaceAll("-", "");
    if (flags.includes(plain)) options.push([plain, ""]);
    else {
      const value = after.length > 0 ? after.join("=") : rest.shift();
      if (value === undefined) throw wrong(`Missing argument to '${name}'`);
      // `--port-forward-4 delete NAME`
      options.push([
        plain,
        plain.startsWith("portforward") && value === "delete" ? `delete ${rest.shift()}` : value,
      ]);
    }
  }
  return { words, options, value: (name) => options.find(([key]) => key === name)?.[1] };
}
