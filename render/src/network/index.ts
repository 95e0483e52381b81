/** A node's network as the files that its distribution reads it from. */
import type { ManagedFile, UserDataModel } from "../model";
import { networkManagerFiles, networkManagerFolder } from "./network-manager";
import { networkdFiles, networkdFolder } from "./networkd";

/** A node's interfaces: a part of its user data, and what is changed over SSH afterwards. */
export type NetworkModel = Pick<UserDataModel, "distribution" | "network" | "vlans" | "nics">;

/** Who reads the files. */
export type NetworkService = "systemd-networkd" | "NetworkManager";

export interface NodeNetwork {
  readonly service: NetworkService;
  /** By absolute path. */
  readonly files: Readonly<Record<string, ManagedFile>>;
}

export function renderNetwork(model: NetworkModel): NodeNetwork {
  return model.distribution === "fedora-coreos"
    ? {
        service: "NetworkManager",
        files: placed(networkManagerFolder, 0o600, networkManagerFiles(model)),
      }
    : { service: "systemd-networkd", files: placed(networkdFolder, 0o644, networkdFiles(model)) };
}

function placed(folder: string, mode: number, texts: Record<string, string>): NodeNetwork["files"] {
  return Object.fromEntries(
    Object.entries(texts).map(([name, content]) => [
      `${folder}/${name}`,
      { content, mode, apply: { action: "none" } },
    ]),
  );
}
