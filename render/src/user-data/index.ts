/** User data: what a node's first boot makes of it. One description, written in either format. */
import type { Distribution, NodeFiles, UserDataFormat, UserDataModel } from "../model";
import { canonicalJson, sha256 } from "../text";
import { renderCloudConfig } from "./cloud-config";
import { describeNode, type Installed } from "./describe";
import type { NodeDescription } from "./description";
import { renderIgnition } from "./ignition";
import { refuseFaults } from "./rules";

/** The formats that each distribution takes, the one to prefer first. */
export const formatsOf: Readonly<Record<Distribution, readonly UserDataFormat[]>> = {
  flatcar: ["ignition", "cloud-config"],
  "fedora-coreos": ["ignition"],
  // It knows Ignition 2 only.
  coreos: ["cloud-config"],
};

export function defaultFormat(distribution: Distribution): UserDataFormat {
  return distribution === "coreos" ? "cloud-config" : "ignition";
}

/**
 * Digest of what only an installation sets. It is taken of the model, not of its rendering: a new version of this
 * program that renders the same node differently must not read as a reinstallation of every node. Neither must
 * another password, nor another network, which are set on the node as it runs; of the network the address alone counts,
 * by which the others know the node. A cloud-config is applied at every boot: there the whole network counts, as the
 * former one would be back after the next.
 * @param format What the node is installed by; the distribution's own by default.
 */
export function installHashOf(
  model: UserDataModel,
  format: UserDataFormat = defaultFormat(model.distribution),
): string {
  const users = model.users.map((user) => ({ ...user, passwordHash: undefined }));
  const set = { ...model, users };
  if (!networkInPlace(format)) return sha256(canonicalJson(set));
  const { network, ...rest } = set;
  const lasting = { ...rest, vlans: undefined, nics: undefined };
  return sha256(canonicalJson({ ...lasting, network: { address: network.address } }));
}

/** Whether an installed node's network can be changed as it runs. */
export function networkInPlace(format: UserDataFormat): boolean {
  return format === "ignition";
}

/** The model with the users' password hashes, which come to be known later than the rest. */
export function withPasswords(model: UserDataModel, hashes: Readonly<Record<string, string>>): UserDataModel {
  const users = model.users.map((user) => {
    const passwordHash = hashes[user.name];
    return passwordHash === undefined ? user : { ...user, passwordHash };
  });
  return { ...model, users };
}

export interface UserDataArgs extends Installed {
  readonly format: UserDataFormat;
  /** What is otherwise put on the node over SSH, for a site that installs by hand. */
  readonly files?: NodeFiles;
}

/** @throws Error that says what of the model the distribution or the format cannot have. */
export function renderUserData(model: UserDataModel, { format, files, ...installed }: UserDataArgs): string {
  refuseUnsupported(model, format);
  const node = describeNode(model, installed, files);
  refuseFaults(node);
  return renderDescription(node, format);
}

export function renderDescription(node: NodeDescription, format: UserDataFormat): string {
  switch (format) {
    case "ignition":
      return renderIgnition(node);
    case "cloud-config":
      return renderCloudConfig(node);
    default: {
      const never: never = format;
      throw new Error(`no such format: ${String(never)}`);
    }
  }
}

function refuseUnsupported(model: UserDataModel, format: UserDataFormat): void {
  const { distribution, hostname, updateStrategy, containerLinux } = model;
  const refuse = (why: string): never => {
    throw new Error(`${hostname}: ${why}`);
  };
  if (!formatsOf[distribution].includes(format)) {
    refuse(
      distribution === "coreos"
        ? "Container Linux (distribution coreos) knows Ignition 2 only: give it a cloud-config"
        : "Fedora CoreOS has no cloud-config: give it Ignition",
    );
  }
  if (distribution === "fedora-coreos" && updateStrategy === "etcd-lock") {
    refuse("Fedora CoreOS has no update strategy etcd-lock: choose off or reboot");
  }
  if (distribution !== "coreos" && containerLinux !== undefined) {
    refuse("etcd2, fleet, flannel and what is insecure are for distribution coreos alone: leave them out");
  }
}
