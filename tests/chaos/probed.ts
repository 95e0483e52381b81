/** Which registry the front asks for a repository, so that each one's answers can be asked for. */
import { createHash } from "node:crypto";
import { pickOf } from "@moorage/render";

/** An image whose manifest the prober asks for: that of one node's registry. */
export interface Probed {
  readonly node: string;
  readonly repository: string;
  readonly digest: string;
}

export const manifestOf = ({ repository, digest }: Probed): string => `/v2/${repository}/manifests/${digest}`;

/** The node whose registry the front asks for a repository for as long as it is there. */
export function nodeOf(repository: string, nodes: readonly string[]): string {
  const registries = nodes.map((node) => `registry-${node}`);
  const digest = (text: string): string => createHash("sha256").update(text).digest("hex");
  return pickOf(registries, repository, digest).replace(/^registry-/, "");
}

/** A repository for each node. */
export function repositoriesOn(nodes: readonly string[]): Map<string, string> {
  const found = new Map<string, string>();
  for (let number = 0; found.size < nodes.length && number < 1000; number++) {
    const repository = `chaos/probed-${number}`;
    const node = nodeOf(repository, nodes);
    if (!found.has(node)) found.set(node, repository);
  }
  return found;
}
