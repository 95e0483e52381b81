/**
 * Seconds and SSH connections of a first update, and of an update, a refresh and a preview that change nothing,
 * each beside the same of an empty program that starts the same plugins: `npx tsx bench/up.ts [ROUNDS]`.
 */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { LabError } from "../lab/exec";
import { findInstance } from "../lab/instance";
import { ownLab } from "../tests/support/labSetup";
import { TestLab } from "../tests/support/testLab";
import { emptyProgram, type Pulumi } from "./emptyProgram";
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

const median = (values: number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] ?? NaN;

function table(rows: Row[]): string {
  const cells = rows.map(({ name, seconds, empty, ssh }) => [
    seconds.length > 1 ? `${name}, median of ${seconds.length}` : name,
    `${median(seconds).toFixed(1)} s`,
    `${median(empty).toFixed(1)} s`,
    (median(seconds) / median(empty)).toFixed(1),
    String(total(ssh, "connections")),
    String(most(ssh)),
    String(total(ssh, "commands")),
    String(total(ssh, "forwards")),
  ]);
  const head = ["", "moorage", "empty", "ratio", "connections", "most per host", "commands", "streams"];
  const all = [head, ...cells];
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const line = (row: string[]): string =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join("  ");
  return all.map(line).join("\n");
}

/** Which process opened how many connections to which host. */
function connections({ name, ssh }: Row): string {
  const each = ssh.map((use) => {
    const nodes = Object.entries(use.byNode).sort(([a], [b]) => a.localeCompare(b));
    return `${nameOf(use)}: ${nodes.map(([node, count]) => `${node} ${count}`).join(", ")}`;
  });
  return `${name}: ${each.join("; ") || "none"}`;
}

async function main(): Promise<void> {
  const rounds = Number(process.argv[2] ?? "3");
  if (!(rounds >= 1)) throw new LabError("usage: tsx bench/up.ts [ROUNDS]");
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
    const where = `${lab.nodes.length} nodes on ${os.cpus().length} cores, ${new Date().toISOString().slice(0, 10)}`;
    console.log([where, "", table(rows), "", ...rows.map(connections)].join("\n"));
  } finally {
    await leave();
  }
}

main().catch((error: unknown) => {
  console.error(error instanceof LabError ? `moorage: ${error.message}` : error);
  process.exitCode = 1;
});
