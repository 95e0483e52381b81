import { giveBack, takeLab } from "./freeLab";

const labsVariable = "MOORAGE_TEST_LABS";

/**
 * Gives a run a lab of its own, and takes it away when the function that comes back is called. `MOORAGE_LAB` chooses one,
 * which is then kept.
 */
export async function ownLab(): Promise<() => Promise<void>> {
  if (process.env.MOORAGE_LAB) return () => Promise.resolve();
  const instance = await takeLab();
  process.env.MOORAGE_LAB = String(instance.number);
  return () => giveBack(instance);
}

/** The same for vitest, with two labs: each worker makes one of them when a test first wants it. */
export default async function setup(): Promise<() => Promise<void>> {
  const chosen = process.env.MOORAGE_LAB;
  const labs = chosen ? [] : [await takeLab(), await takeLab()];
  process.env[labsVariable] = chosen || labs.map(({ number }) => number).join(" ");
  return async () => {
    for (const lab of labs) await giveBack(lab);
  };
}

/** The numbers of the run's labs, in a worker. */
export const labsOfRun = (): string[] => (process.env[labsVariable] ?? "").split(" ").filter(Boolean);
