/** What a stand-in's bundle starts (`toolchain/standIns.ts`): a plugin of a name and a version, which are its arguments. */
import { serve } from "./server";
import type { StandIn } from "./standIn";

const ORPHAN_CHECK_MS = 2000;

export async function start(standIn: StandIn): Promise<void> {
  const [name = "", version = ""] = process.argv.slice(2);
  console.log(await serve({ name, version, ...standIn }));
  // An engine that was killed tells nobody.
  const parent = process.ppid;
  setInterval(() => process.ppid === parent || process.exit(0), ORPHAN_CHECK_MS).unref();
}
