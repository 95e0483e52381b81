export { cacheRoot, madeOnce, pointTo, withLock } from "./cache";
export { ensureCloudinit, type Cloudinit } from "./cloudinit";
export { checkedArchive } from "./plugins";
export { lastWords, run, shellQuote, ToolError, type Finished, type Log } from "./run";
export { defaultSetting, type Setting } from "./setting";
export { ensureTools, pulumiEnvironment, shellExports, type PulumiSettings, type Tools } from "./tools";
