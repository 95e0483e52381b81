import { parseArgs } from "node:util";
import { secondsSince, ToolError } from "./run";
import { ensureTools, shellExports } from "./tools";

const USAGE = `usage: tsx toolchain/main.ts ensure
       tsx toolchain/main.ts env [--backend URL] [--passphrase-file FILE] [--config-file FILE]

  ensure  finds, fetches or builds every tool, and says where each is
  env     prints export lines for a shell; progress goes to standard error`;

async function main(): Promise<number> {
  const start = Date.now();
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      backend: { type: "string" },
      "passphrase-file": { type: "string" },
      "config-file": { type: "string" },
    },
  });
  switch (positionals.join(" ")) {
    case "ensure": {
      const tools = await ensureTools((line) => console.log(line));
      for (const line of tools.report) console.log(line);
      console.log(`tools: ready after ${secondsSince(start)}`);
      return 0;
    }
    case "env": {
      const tools = await ensureTools((line) => console.error(line));
      const lines = shellExports(tools, {
        backendUrl: values.backend,
        passphraseFile: values["passphrase-file"],
        configFile: values["config-file"],
      });
      for (const line of lines) console.log(line);
      return 0;
    }
    default:
      console.error(USAGE);
      return 2;
  }
}

main().then(
  (code) => (process.exitCode = code),
  (error: unknown) => {
    const isPlain = error instanceof ToolError || (error instanceof TypeError && "code" in error);
    console.error(isPlain ? error.message : error);
    process.exitCode = 1;
  },
);
