/** Ignition 3.3.0, which Flatcar and Fedora CoreOS take. */
import type { UserDataModel, UserModel } from "./model";
import { renderNetworkd, renderNetworkManager } from "./network";
import { canonicalJson, sha256 } from "./text";

interface IgnitionFile {
  readonly path: string;
  readonly mode: number;
  readonly overwrite: true;
  readonly contents: { readonly source: string };
}
interface IgnitionLink {
  readonly path: string;
  readonly target: string;
  readonly hard: false;
  readonly overwrite: true;
}

export const installMarkerPath = "/etc/moorage/install.json";

/**
 * Digest of what the installation sets. It is taken of the model, not of its rendering: a new version of this
 * program that renders the same node differently must not read as a reinstallation of every node.
 */
export function installHashOf(model: UserDataModel): string {
  return sha256(canonicalJson(model));
}

export function renderIgnition(model: UserDataModel, installHash: string): string {
  refuseUnsupported(model);
  const config = {
    ignition: { version: "3.3.0" },
    passwd: { users: model.users.map(user) },
    storage: { files: files(model, installHash), links: links(model) },
    systemd: { units: [{ name: "docker.service", enabled: true }] },
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}

function refuseUnsupported(model: UserDataModel): void {
  if (model.distribution === "coreos") {
    throw new Error("Container Linux (distribution coreos) knows Ignition 2 only: give it a cloud-config");
  }
  if (model.distribution === "fedora-coreos" && model.updateStrategy === "etcd-lock") {
    throw new Error("Fedora CoreOS has no update strategy etcd-lock: choose off or reboot");
  }
}

function user(model: UserModel): object {
  return {
    name: model.name,
    ...(model.groups.length > 0 ? { groups: model.groups } : {}),
    ...(model.sshAuthorizedKeys.length > 0 ? { sshAuthorizedKeys: model.sshAuthorizedKeys } : {}),
  };
}

function files(model: UserDataModel, installHash: string): IgnitionFile[] {
  return [
    file("/etc/hostname", 0o644, `${model.hostname}\n`),
    file(installMarkerPath, 0o644, `${JSON.stringify({ installHash })}\n`),
    file("/etc/ssh/ssh_host_ed25519_key", 0o600, endLine(model.hostKey.privateKey)),
    file("/etc/ssh/ssh_host_ed25519_key.pub", 0o644, endLine(model.hostKey.publicKey)),
    networkFile(model),
    updateFile(model),
  ];
}

function networkFile(model: UserDataModel): IgnitionFile {
  return model.distribution === "fedora-coreos"
    ? file(
        "/etc/NetworkManager/system-connections/moorage.nmconnection",
        0o600,
        renderNetworkManager(model.network),
      )
    : file("/etc/systemd/network/10-moorage.network", 0o644, renderNetworkd(model.network));
}

function updateFile(model: UserDataModel): IgnitionFile {
  if (model.distribution === "fedora-coreos") {
    const setting = model.updateStrategy === "off" ? "enabled = false" : 'strategy = "immediate"';
    return file("/etc/zincati/config.d/90-moorage.toml", 0o644, `[updates]\n${setting}\n`);
  }
  return file("/etc/flatcar/update.conf", 0o644, `REBOOT_STRATEGY=${model.updateStrategy}\n`);
}

function links(model: UserDataModel): IgnitionLink[] {
  return [
    ...(model.timeZone === undefined
      ? []
      : [link("/etc/localtime", `/usr/share/zoneinfo/${model.timeZone}`)]),
    // Flatcar starts Docker by its socket only, and its unit comes with a system extension, after presets were
    // applied. A Swarm node has to come back by itself after a reboot, so the link is made here.
    ...(model.distribution === "flatcar"
      ? [
          link(
            "/etc/systemd/system/multi-user.target.wants/docker.service",
            "/usr/lib/systemd/system/docker.service",
          ),
        ]
      : []),
  ];
}

function file(path: string, mode: number, content: string): IgnitionFile {
  return { path, mode, overwrite: true, contents: { source: dataUrl(content) } };
}

function link(path: string, target: string): IgnitionLink {
  return { path, target, hard: false, overwrite: true };
}

/** Percent-encoding keeps the file readable in a review. */
function dataUrl(content: string): string {
  const escaped = encodeURIComponent(content).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `data:,${escaped}`;
}

function endLine(text: string): string {
  return `${text.trimEnd()}\n`;
}
