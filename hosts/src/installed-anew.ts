/**
 * Which nodes this update installs anew. Kept within this process, which serves all resources of an update: the diff of
 * a node's installation comes before those of what is put on the node.
 */
const anew = new Set<string>();

export function setInstalledAnew(node: string, isAnew: boolean): void {
  if (isAnew) anew.add(node);
  else anew.delete(node);
}

export function isInstalledAnew(node: string): boolean {
  return anew.has(node);
}
