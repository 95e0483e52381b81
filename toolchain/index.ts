export { cacheRoot } from "./cache";
export { checkedArchive } from "./plugins";
export { ToolError, type Log } from "./run";
export { defaultSetting, type Setting } from "./setting";
export {
  ensureTools,
  pulumiEnvironment,
  shellExports,
  shellQuote,
  type PulumiSettings,
  type Tools,
} from "./tools";
