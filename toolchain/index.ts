export { cacheRoot, madeOnce, pointTo, withLock } from "./cache";
export { checkedArchive } from "./plugins";
export { lastWords, run, ToolError, type Finished, type Log } from "./run";
export { defaultSetting, type Setting } from "./setting";
export {
  ensureTools,
  pulumiEnvironment,
  shellExports,
  shellQuote,
  type PulumiSettings,
  type Tools,
} from "./tools";
