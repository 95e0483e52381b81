/** Names that the renderer gives what it puts on a node: no code of its is known here, so a test compares them. */

/** File that holds the digest of the node's installation. */
export const INSTALL_MARKER = "/etc/moorage/install.json";

/** The node's member of etcd. */
export const ETCD_CONTAINER = "moorage-etcd";
/** The unit that runs it. */
export const ETCD_UNIT = "moorage-etcd.service";
/** The script that the unit runs, and by which the node is asked. */
export const ETCD_SCRIPT = "/etc/moorage/etcd/member";
