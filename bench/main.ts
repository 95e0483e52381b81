/**
 * `make bench`: figures, never a verdict, on a machine that does nothing else; `make bench ONLY=updates` takes some of them.
 * Writes docs/benchmarks.md from docs/benchmarks.json, which keeps what each of them came to last.
 */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { LabError } from "../lab/exec";
import { checkout } from "../lab/instance";
import { currentCommit } from "../tests/proof/results";
import { cleanUp } from "../tests/support/parts";
import { benchProgram, benchProject } from "./measures";

const ROUNDS = 5;

interface Bench {
  readonly title: string;
  /** What is measured and how, in Markdown. */
  readonly about: string;
  readonly run: () => Promise<string>;
}

const benches: Readonly<Record<string, Bench>> = {
  updates: {
    title: "Updates",
    about: `\`pulumi up\` from bare hosts on platform \`metal\`, then \`up\`, \`refresh\` and \`preview\` that change nothing. Each
runs right after the same operation of an empty program (\`bench/empty\`), which starts the same plugins. Connections are SSH
connections to all hosts, commands are what ran on hosts, streams are connections to Docker and to ports within them; an
operation's figures are those of its round with the most (\`MOORAGE_SSH_STATS\` names a folder in which each process counts).`,
    run: () => benchProgram("updates", ROUNDS),
  },
  "data-path": {
    title: "Pulls and pushes",
    about: `One registry of the same version with a file system, HTTP and no passwords, and Moorage on four nodes, in turns on the
same machine, whose cores the nodes, MinIO and the clients share. The clients are on a host of their own, and each keeps its
connection; Moorage is asked over TLS with a password. A pull is GET of the manifest by tag, of the configuration, and of the layer,
by a process of curl for each client, and times are medians; pushes are the time of all divided by their number. The row with and
without nginx has no plain registry: its second time is that of a registry of Moorage, asked on its node, which still reaches
MinIO by HAProxy.`,
    run: () => benchProgram("dataPath", ROUNDS),
  },
  story: {
    title: "The lab story",
    about: "Steps of `tests/lab/story.test.ts`, on platform `virtualbox`.",
    run: () => benchProject("story", ROUNDS),
  },
  programs: {
    title: "Programs",
    about: "nginx, HAProxy and keepalived on this machine (`tests/proof/programs`).",
    run: () => benchProject("programs", ROUNDS),
  },
  lab: {
    title: "Faults and changes on the lab",
    about: "Steps of `tests/proof/lab`, one run.",
    run: () => benchProject("lab", 1),
  },
};

interface Result {
  readonly commit: string;
  readonly date: string;
  readonly machine: string;
  readonly text: string;
}

const docs = (name: string): string => path.join(checkout(), "docs", name);

function record(name: string, result: Result): void {
  const file = docs("benchmarks.json");
  const known = fs.existsSync(file)
    ? (JSON.parse(fs.readFileSync(file, "utf8")) as Record<string, Result>)
    : {};
  const results = { ...known, [name]: result };
  fs.writeFileSync(file, `${JSON.stringify(results, null, 2)}\n`);
  fs.writeFileSync(docs("benchmarks.md"), page(results));
}

function page(results: Readonly<Record<string, Result>>): string {
  const sections = Object.entries(benches).flatMap(([name, { title, about }]) => {
    const found = results[name];
    if (!found) return [];
    return [`## ${title}`, about, `Commit ${found.commit}, ${found.date}, ${found.machine}.`, found.text];
  });
  return `${["# Benchmarks", "Written by `make bench`: do not edit.", ...sections].join("\n\n")}\n`;
}

function chosen(only: string): string[] {
  const names = only.split(",").filter(Boolean);
  const unknown = names.filter((name) => !(name in benches));
  const known = Object.keys(benches);
  if (unknown.length > 0)
    throw new LabError(`ONLY has ${unknown.join(", ")}: give one or more of ${known.join(", ")}`);
  return names.length === 0 ? known : names;
}

async function main(): Promise<void> {
  const [cpu] = os.cpus();
  const memory = Math.round(os.totalmem() / 1024 ** 3);
  const machine = `${os.cpus().length} cores (${cpu?.model.trim()}), ${memory} GiB, Linux ${os.release()}, Node.js ${process.version}`;
  try {
    for (const name of chosen(process.env.ONLY ?? "")) {
      const text = (await benches[name]?.run()) ?? "";
      const date = new Date().toISOString().slice(0, 10);
      record(name, { commit: await currentCommit(), date, machine, text });
      console.log(`${name}\n\n${text}\n`);
    }
  } finally {
    for (const line of await cleanUp()) console.error(line);
  }
}

main().catch((error: unknown) => {
  console.error(error instanceof LabError ? `moorage: ${error.message}` : error);
  process.exitCode = 1;
});
