/** `main.ts NAME VERSION`: what the scripts `pulumi-resource-NAME` start in the place of a published plugin. */
import { serve } from "./server";
import type { StandIn } from "./standIn";

/** The stand-ins by the names of the plugins, each loaded where it is wanted. */
export const standIns: Readonly<Record<string, () => Promise<StandIn>>> = {
  command: async () => (await import("./command")).commandPlugin,
  docker: async () => (await import("./docker")).docker,
  random: async () => (await import("./random")).random,
  tls: async () => (await import("./tls")).tls,
};

const ORPHAN_CHECK_MS = 2000;

async function main(): Promise<void> {
  const [name = "", version = ""] = process.argv.slice(2);
  const load = standIns[name];
  if (!load) throw new Error(`no stand-in called ${name}: give one of ${Object.keys(standIns).join(", ")}`);
  console.log(await serve(name, await load(), version));
  // An engine that was killed tells nobody.
  const parent = process.ppid;
  setInterval(() => process.ppid === parent || process.exit(0), ORPHAN_CHECK_MS).unref();
}

if (require.main === module) {
  main().catch((error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  });
}
