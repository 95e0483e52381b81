/** Reads docs/runbook.md, and runs its commands. */
import * as fs from "node:fs";
import * as path from "node:path";
import { must } from "../../lab/exec";
import { checkout } from "../../lab/instance";
import { manage } from "./hypervisor";
import type { TestLab } from "./testLab";

export interface Command {
  readonly line: string;
  /** Its node. Without one it runs where Pulumi runs. */
  readonly on?: string;
}

export interface Page {
  readonly title: string;
  /** The text under each bold word. */
  readonly parts: Readonly<Record<string, string>>;
  readonly commands: readonly Command[];
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
      return {
        title,
        parts: Object.fromEntries(pairs) as Record<string, string>,
        commands: [...body.matchAll(/^```\n([^]*?)^```$/gm)].flatMap(([, block = ""]) =>
          block.trim().split("\n").map(commandIn),
        ),
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

/** Fills in what a page leaves to its reader. */
export interface Following {
  /** One or more nodes, by the words after `# on`. */
  readonly on?: Readonly<Record<string, string | readonly string[]>>;
  /** One or more values of a name in capitals: one command for each. */
  readonly names?: Readonly<Record<string, string | readonly string[]>>;
  /** Work before a command, by the page's line. */
  readonly before?: Readonly<Record<string, () => Promise<unknown>>>;
}

/** Runs a page's commands one after the other; each must succeed. @returns their output */
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

/** The line with its names filled in, once for each value. */
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
  // Root needs no sudo. A reboot cuts its own command off.
  const plain = line.replace(/^sudo /, "");
  return /\breboot$/.test(plain) ? (await lab.root(node, plain)).stdout : lab.mustRoot(node, plain);
}

function missing(title: string, place: string): never {
  throw new Error(`"${title}" does not say which node "${place}" is`);
}

const here = (lab: TestLab, line: string): Promise<string> =>
  line.startsWith("pulumi ") ? pulumi(lab, line) : must("sh", ["-c", line], { env: lab.env });

/** Further options: no questions, and no other stack is selected. */
const besides: Readonly<Record<string, readonly string[]>> = {
  up: ["--yes", "--skip-preview"],
  refresh: ["--yes", "--skip-preview"],
  cancel: ["--yes"],
  "stack init": ["--no-select"],
};

/** Splits a line as a shell would. */
const wordsOf = (line: string): string[] =>
  [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, word]) => quoted ?? word ?? "");

async function pulumi(lab: TestLab, line: string): Promise<string> {
  const [, ...args] = wordsOf(line);
  const command = args.slice(0, 2).join(" ");
  const more = besides[command] ?? besides[args[0] ?? ""] ?? [];
  // `stack init` writes the salt into the stack file of its folder.
  const folder = command === "stack init" ? { cwd: lab.instance.dir } : {};
  const { code, output } = await lab.pulumi([...args, ...more], folder);
  if (code !== 0) throw new Error(`${line}: exit code ${code}:\n${output}`);
  return output;
}
