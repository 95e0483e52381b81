/** What the programs of bench/ have in common: they take rounds and a file, which gets Markdown. */
import * as fs from "node:fs";
import { LabError } from "../lab/exec";

export async function writeFigures(bench: (rounds: number) => Promise<string>): Promise<void> {
  const [program = "", rounds = "", file = ""] = process.argv.slice(1);
  try {
    if (!(Number(rounds) >= 1) || file === "") throw new LabError(`usage: tsx ${program} ROUNDS FILE`);
    fs.writeFileSync(file, await bench(Number(rounds)));
  } catch (error) {
    console.error(error instanceof LabError ? `moorage: ${error.message}` : error);
    process.exitCode = 1;
  }
}
