/** Names that the renderer gives what it puts on a node: no code of its is known here, so a test compares them. */

/** File that holds the digest of the node's installation. */
export const INSTALL_MARKER = "/etc/moorage/install.json";

/** The node's member of etcd. */
export const ETCD_CONTAINER = "moorage-etcd";
/** What a node is asked and told about its member by. */
export const ETCD_SCRIPT = "/etc/moorage/etcd/member";
