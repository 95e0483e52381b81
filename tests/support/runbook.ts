/** docs/runbook.md as tests read it: what it says to run is what they run. */
import * as fs from "node:fs";
import * as path from "node:path";
import { must } from "../../lab/exec";
import { checkout } from "../../lab/instance";
import { manage } from "./hypervisor";
import type { TestLab } from "./testLab";

export interface Command {
  readonly line: string;
  /** The node it is run on; absent where Pulumi runs. */
  readonly on?: string;
}

export interface Trial {
  readonly file: string;
  /** A test of that file, or the page it follows. */
  readonly name: string;
}

export interface Page {
  readonly title: string;
  /** What is said under each of the bold words. */
  readonly parts: Readonly<Record<string, string>>;
  readonly commands: readonly Command[];
  readonly trials: readonly Trial[];
}

export function pagesOf(text: string): Page[] {
  return text
    .split(/^## /m)
    .slice(1)
    .map((section) => {
      const [title = "", ...lines] = section.split("\n");
      const body = lines.join("\n");
      const parts = body.split(/^\*\*(\w[\w ]*):\*\*/m).slice(1);
      const pairs = parts.flatMap((name, at) => (at % 2 === 0 ? [[name, (parts[at + 1] ?? "").trim()]] : []));
      const trials = [...body.matchAll(/`(tests\/[^`]+)`\s+"([^"]+)"/g)];
      return {
        title,
        parts: Object.fromEntries(pairs) as Record<string, string>,
        commands: [...body.matchAll(/^```\n([^]*?)^```$/gm)].flatMap(([, block = ""]) =>
          block.trim().split("\n").map(commandIn),
        ),
        trials: trials.map(([, file = "", name = ""]) => ({ file, name: name.replace(/\s+/g, " ") })),
      };
    });
}

function commandIn(text: string): Command {
  const [line = "", on] = text.split(/\s+# on /);
  return on === undefined ? { line } : { line, on };
}

export function runbook(): Page[] {
  return pagesOf(fs.readFileSync(path.join(checkout(), "docs", "runbook.md"), "utf8"));
}

/** Where the page's words for nodes lead, what stands for its names in capitals, and what it leaves to its reader. */
export interface Following {
  /** By what follows `# on`; of a list, on each of them. */
  readonly on?: Readonly<Record<string, string | readonly string[]>>;
  /** By name in capitals; of a list, one command for each. */
  readonly names?: Readonly<Record<string, string | readonly string[]>>;
  /** What is done, or looked at, before a command, by the line that the page has. */
  readonly before?: Readonly<Record<string, () => Promise<unknown>>>;
}

/** Runs a page's commands one after the other, each of which must succeed, and gives back what they printed. */
export async function follow(lab: TestLab, title: string, following: Following = {}): Promise<string[]> {
  const { on = {}, names = {}, before = {} } = following;
  const page = runbook().find((one) => one.title === title);
  if (!page || page.commands.length === 0)
    throw new Error(`docs/runbook.md has nothing to run for "${title}"`);
  const unknown = Object.keys(before).filter((line) => page.commands.every((one) => one.line !== line));
  if (unknown.length > 0) throw new Error(`"${title}" does not say to run ${unknown.join(" or ")}`);
  const printed: string[] = [];
  for (const command of page.commands) {
    await before[command.line]?.();
    for (const line of filled(command.line, names)) {
      if (command.on === undefined) printed.push(await here(lab, line));
      else if (command.on === "the hypervisor") printed.push(await onHypervisor(lab, line));
      else {
        const nodes = [on[command.on] ?? missing(title, command.on)].flat();
        for (const node of nodes) printed.push(await onNode(lab, node, line));
      }
    }
  }
  return printed;
}

/** The line with its names filled in: one for each value of a name that has several. */
function filled(line: string, names: Following["names"] = {}): string[] {
  let lines = [line];
  for (const name of new Set(line.match(/\b[A-Z]{4,}\b/g))) {
    const values = [names[name] ?? name].flat();
    const place = new RegExp(`\\b${name}\\b`, "g");
    lines = lines.flatMap((one) => values.map((value) => one.replace(place, () => value)));
  }
  return lines;
}

async function onHypervisor(lab: TestLab, line: string): Promise<string> {
  const [program, ...args] = wordsOf(line);
  if (program !== "VBoxManage") throw new Error(`not a command of VirtualBox's: ${line}`);
  return manage(lab.instance, ...args);
}

async function onNode(lab: TestLab, node: string, line: string): Promise<string> {
  // Who is root needs no sudo; and what restarts the node may be cut off by that.
  const plain = line.replace(/^sudo /, "");
  return /\breboot$/.test(plain) ? (await lab.root(node, plain)).stdout : lab.mustRoot(node, plain);
}

function missing(title: string, place: string): never {
  throw new Error(`"${title}" does not say which node "${place}" is`);
}

const here = (lab: TestLab, line: string): Promise<string> =>
  line.startsWith("pulumi ") ? pulumi(lab, line) : must("sh", ["-c", line], { env: lab.env });

/** What tests say besides: nobody is asked, and no other stack becomes the selected one. */
const besides: Readonly<Record<string, readonly string[]>> = {
  up: ["--yes", "--skip-preview"],
  refresh: ["--yes", "--skip-preview"],
  cancel: ["--yes"],
  "stack init": ["--no-select"],
};

/** As a shell would split it: words, and what stands in single quotes. */
const wordsOf = (line: string): string[] =>
  [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, word]) => quoted ?? word ?? "");

async function pulumi(lab: TestLab, line: string): Promise<string> {
  const [, ...args] = wordsOf(line);
  const command = args.slice(0, 2).join(" ");
  const more = besides[command] ?? besides[args[0] ?? ""] ?? [];
  // A new stack's salt is written beside the `Pulumi.yaml` of the folder, where the lab has its stack file.
  const folder = command === "stack init" ? { cwd: lab.instance.dir } : {};
  const { code, output } = await lab.pulumi([...args, ...more], folder);
  if (code !== 0) throw new Error(`${line}: exit code ${code}:\n${output}`);
  return output;
}
