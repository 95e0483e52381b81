import { giveBack, takeLab } from "./freeLab";

const labVariable = "MOORAGE_TEST_LAB";

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

/** The same for vitest: a worker makes the lab when a test first wants it. */
export default async function setup(): Promise<() => Promise<void>> {
  const chosen = process.env.MOORAGE_LAB;
  const own = chosen ? undefined : await takeLab();
  process.env[labVariable] = chosen || String(own?.number);
  return async () => {
    if (own !== undefined) await giveBack(own);
  };
}

/** The number of the run's lab, in a worker. */
export const labOfRun = (): string => process.env[labVariable] ?? "";
