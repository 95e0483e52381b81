/**
 * Seconds and SSH connections of a first update, and of an update, a refresh and a preview that change nothing,
 * each beside the same of an empty program that starts the same plugins: `tsx bench/updates.ts ROUNDS FILE`, which gets
 * Markdown. A process of its own, which Ctrl-C ends.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { LabError } from "../lab/exec";
import { findInstance } from "../lab/instance";
import { ownLab } from "../tests/support/labSetup";
import { TestLab } from "../tests/support/testLab";
import { emptyProgram, type Pulumi } from "./emptyProgram";
import { phasesTable } from "./phases";
import { writeFigures } from "./program";
import { markdownTable, median } from "./table";
import { countSsh, most, nameOf, total, type SshUse } from "./sshUse";

const UPDATE = ["up", "--yes", "--skip-preview", "--suppress-outputs"];
const OPERATIONS: Record<string, string[]> = {
  "no-op up": UPDATE,
  refresh: ["refresh", "--yes", "--skip-preview", "--suppress-outputs"],
  preview: ["preview", "--suppress-outputs"],
};

interface Row {
  readonly name: string;
  readonly seconds: number[];
  readonly empty: number[];
  readonly ssh: SshUse[];
}

const say = (line: string): void => console.error(line);

/** Seconds of an operation that must succeed, and, but for the first update, change nothing. */
async function timed(pulumi: Pulumi, args: string[], first: boolean, env = {}): Promise<number> {
  const start = Date.now();
  const { code, output } = await pulumi(args, env);
  const seconds = (Date.now() - start) / 1000;
  const changed = / (created|updated|replaced|deleted|to (create|update|replace|delete))$/m.test(output);
  if (code !== 0 || changed !== first) throw new LabError(`pulumi ${args[0]}:\n${output}`);
  return seconds;
}

async function measure(moorage: Pulumi, empty: Pulumi, rounds: number): Promise<Row[]> {
  const rows: Row[] = [];
  const once = async (name: string, args: string[], first: boolean): Promise<void> => {
    const row = rows.find((each) => each.name === name) ?? { name, seconds: [], empty: [], ssh: [] };
    if (!rows.includes(row)) rows.push(row);
    row.empty.push(await timed(empty, args, first));
    const [seconds, ssh] = await countSsh((folder) =>
      timed(moorage, args, first, { MOORAGE_SSH_STATS: folder }),
    );
    row.seconds.push(seconds);
    if (most(ssh) >= most(row.ssh)) row.ssh.splice(0, row.ssh.length, ...ssh);
    say(`${name}: ${seconds.toFixed(1)} s, empty program ${(row.empty.at(-1) ?? 0).toFixed(1)} s`);
  };
  await once("first up", UPDATE, true);
  for (let round = 1; round <= rounds; round += 1) {
    for (const [name, args] of Object.entries(OPERATIONS)) await once(name, args, false);
  }
  return rows;
}

function cells({ name, seconds, empty, ssh }: Row): string[] {
  return [
    name,
    String(seconds.length),
    `${median(seconds).toFixed(1)} s`,
    `${Math.max(...seconds).toFixed(1)} s`,
    `${median(empty).toFixed(1)} s`,
    (median(seconds) / median(empty)).toFixed(1),
    String(total(ssh, "connections")),
    String(most(ssh)),
    String(total(ssh, "commands")),
    String(total(ssh, "forwards")),
  ];
}

const HEAD = [
  "",
  "rounds",
  "median",
  "worst",
  "empty program",
  "ratio",
  "connections",
  "most per host",
  "commands",
  "streams",
];

/** Which process opened how many connections to which host. */
function connections({ name, ssh }: Row): string {
  const each = ssh.map((use) => {
    const nodes = Object.entries(use.byNode).sort(([a], [b]) => a.localeCompare(b));
    return `${nameOf(use)}: ${nodes.map(([node, count]) => `${node} ${count}`).join(", ")}`;
  });
  return `${name}: ${each.join("; ") || "none"}`;
}

/** Measures all of it in a lab of its own. @returns Markdown */
async function benchUpdates(rounds: number): Promise<string> {
  const leave = await ownLab();
  try {
    const chosen = findInstance();
    if (chosen && fs.existsSync(path.join(chosen.dir, "backend"))) {
      throw new LabError(`lab ${chosen.number} has been used: run clean, or leave MOORAGE_LAB unset`);
    }
    say("hosts");
    const lab = await TestLab.open("metal");
    const empty = await emptyProgram(lab);
    const rows = await measure((args, env) => lab.pulumi(args, { env }), empty, rounds);
    const connected = rows.map(connections).map((line) => `- ${line}`);
    const phases = [
      "First update, by type of resource, from the time stamps in the state:",
      "",
      phasesTable(await lab.state()),
    ];
    return [
      markdownTable(HEAD, rows.map(cells)),
      "",
      "SSH connections:",
      "",
      ...connected,
      "",
      ...phases,
    ].join("\n");
  } finally {
    await leave();
  }
}

void writeFigures(benchUpdates);
