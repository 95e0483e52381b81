/** `pluginsAlone.ts CLI`: provides the provider plugins as the set-up does, with a CLI that is there already. */
import { ensurePlugins } from "../../toolchain/plugins";
import { defaultSetting } from "../../toolchain/setting";

const [bin = ""] = process.argv.slice(2);

void ensurePlugins(
  defaultSetting((line) => console.log(line)),
  { bin, version: "" },
);
