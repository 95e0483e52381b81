import * as os from "node:os";
import * as path from "node:path";
import { cacheRoot } from "./cache";
import type { Log } from "./run";
import { loadPins, type Pins } from "./versions";

/** Where tools are looked for, kept and built: everything a test replaces by a folder of its own. */
export interface Setting {
  readonly checkout: string;
  readonly cache: string;
  readonly home: string;
  readonly env: NodeJS.ProcessEnv;
  readonly pins: Pins;
  readonly log: Log;
}

/** The setting of this process and this checkout. */
export function defaultSetting(log: Log): Setting {
  const checkout = path.join(__dirname, "..");
  const env = process.env;
  return {
    checkout,
    cache: cacheRoot(env),
    home: env.HOME || os.homedir(),
    env,
    pins: loadPins(checkout),
    log,
  };
}
