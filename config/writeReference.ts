import * as fs from "node:fs";
import * as path from "node:path";
import { configurationReference } from "./reference";

fs.writeFileSync(path.join(__dirname, "..", "docs", "configuration.md"), configurationReference());
