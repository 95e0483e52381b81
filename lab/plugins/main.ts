/** `main.ts NAME VERSION`: what the scripts `pulumi-resource-NAME` start in the place of a published plugin. */
import { serve } from "./server";
import type { StandIn } from "./standIn";

const ORPHAN_CHECK_MS = 2000;

async function main(): Promise<void> {
  const [name = "", version = ""] = process.argv.slice(2);
  const { standIn } = (await import(`./${name}`)) as { readonly standIn: StandIn };
  console.log(await serve({ name, version, ...standIn }));
  // An engine that was killed tells nobody.
  const parent = process.ppid;
  setInterval(() => process.ppid === parent || process.exit(0), ORPHAN_CHECK_MS).unref();
}

void main();
