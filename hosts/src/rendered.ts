/** Names that the renderer gives what it puts on a node: no code of its is known here, so a test compares them. */

/** File that holds the digest of the node's installation. */
export const INSTALL_MARKER = "/etc/moorage/install.json";

/** What an installation says of itself in such a file. Those made before stacks were named in it name none. */
export interface InstallMark {
  readonly installHash?: string;
  /** `project/stack`. */
  readonly stack?: string;
  readonly node?: string;
}

/** Empty where there is no such file, or half of one: installed by something else. */
export function installMarkIn(marker: string): InstallMark {
  try {
    const found: unknown = JSON.parse(marker);
    return typeof found === "object" && found !== null ? found : {};
  } catch {
    return {};
  }
}

/** The digest in such a file. */
export function installHashIn(marker: string): string | undefined {
  return installMarkIn(marker).installHash;
}

/** The node's member of etcd. */
export const ETCD_CONTAINER = "moorage-etcd";
/** The unit that runs it. */
export const ETCD_UNIT = "moorage-etcd.service";
/** The script that the unit runs, and by which the node is asked. */
export const ETCD_SCRIPT = "/etc/moorage/etcd/member";
/** The script by which one storage node heals what MinIO's drives have missed. */
export const HEALING_SCRIPT = "/etc/moorage/healing/heal.sh";
/** Where MinIO finds its root user in its container. */
export const STORE_USER_FILE = "/run/secrets/root-user";
export const STORE_PASSWORD_FILE = "/run/secrets/root-password";
