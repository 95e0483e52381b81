/** Which registry an edge node asks for a repository. */
import { createHash } from "node:crypto";
import { pickOf } from "@moorage/render";

/** The node whose registry is asked for a repository for as long as it is there. */
export function nodeOf(repository: string, nodes: readonly string[]): string {
  const registries = nodes.map((node) => `registry-${node}`);
  const digest = (text: string): string => createHash("sha256").update(text).digest("hex");
  return pickOf(registries, repository, digest).replace(/^registry-/, "");
}

/** A repository for each node, which `reader` may read. */
export function repositoriesOn(nodes: readonly string[]): Map<string, string> {
  const found = new Map<string, string>();
  for (let number = 0; found.size < nodes.length && number < 1000; number++) {
    const repository = `public/probed-${number}`;
    const node = nodeOf(repository, nodes);
    if (!found.has(node)) found.set(node, repository);
  }
  return found;
}
