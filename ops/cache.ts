import { clearCaches, HostError } from "@moorage/hosts";
import { contentCache } from "@moorage/render";
import { parsed } from "./arguments";
import { UsageError, type Command } from "./command";

/** Empties the content cache of edge nodes; 1 when a node could not be reached. */
export const cache: Command = {
  usage: "clear [NODE] [--stack S]",
  does: "removes what nginx has cached, on NODE or on every edge node; the next pulls ask the registry again",
  async run(args) {
    const { positionals, values } = parsed({
      args: [...args],
      allowPositionals: true,
      options: { stack: { type: "string" } },
    });
    const [verb, node, ...rest] = positionals;
    if (verb !== "clear" || rest.length > 0) throw new UsageError("wanted: clear, and at most one node");
    const results = await clearCaches(contentCache.node, { stack: values.stack, node });
    for (const result of results) {
      if (result instanceof HostError) console.error(result.message);
      else
        console.log(`${result.node}: ${result.files} files, ${(result.bytes / 1e6).toFixed(0)} MB removed`);
    }
    if (results.length === 0)
      console.log(node === undefined ? "no node has a cache" : `${node} has no cache`);
    return results.some((result) => result instanceof HostError) ? 1 : 0;
  },
};
