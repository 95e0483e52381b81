/** The lab's command line, as docs/lab.md has it. */
import { expect } from "vitest";
import { run, type Finished } from "../../lab/exec";
import { checkout, type Instance } from "../../lab/instance";

/** Runs it on that lab, whatever it ends with. */
export function labCommand(instance: Instance, ...words: readonly string[]): Promise<Finished> {
  const env = { MOORAGE_LAB: String(instance.number) };
  return run("npm", ["run", "-s", "lab", "--", ...words], { cwd: checkout(), env });
}

async function mustLab(instance: Instance, words: readonly string[], says: string): Promise<void> {
  const { code, output } = await labCommand(instance, ...words);
  expect(code, output).toBe(0);
  expect(output).toContain(says);
}

/** Hurts a host. @param what the fault, and what may follow its name */
export const hurtByCommand = (instance: Instance, node: string, ...what: readonly string[]): Promise<void> =>
  mustLab(instance, ["fault", node, ...what], `${node} ${what[0]} done`);

/** Takes it back. */
export const mendByCommand = (instance: Instance, node: string, fault: string): Promise<void> =>
  mustLab(instance, ["mend", node, fault], `${node} ${fault} taken back`);

/** Cuts a host's power, or gives it back. */
export const powerByCommand = (instance: Instance, node: string, power: "off" | "on"): Promise<void> =>
  mustLab(instance, [power, node], `${node} is ${power}`);
