/**
 * STAND-IN for coreos-cloudinit in the lab's live installer: what a config drive's cloud-config makes of a root.
 * NOT MODELLED: everything but the host name, keys of user core, files, and units of systemd-networkd; other units are
 * refused, so that nothing is passed over in silence.
 */
import { parse } from "yaml";
import { LabError } from "../exec";
import type { Layer } from "../layers";

interface CloudConfig {
  readonly hostname?: string;
  readonly ssh_authorized_keys?: readonly string[];
  readonly write_files?: readonly {
    readonly path: string;
    readonly permissions?: string;
    readonly content: string;
  }[];
  readonly coreos?: { readonly units?: readonly { readonly name: string; readonly content: string }[] };
}

export function cloudConfigLayer(text: string): Layer {
  if (!text.startsWith("#cloud-config\n"))
    throw new LabError("the config drive's user data does not begin with #cloud-config");
  const config = parse(text) as CloudConfig;
  const unknown = Object.keys(config).filter(
    (key) => !["hostname", "ssh_authorized_keys", "write_files", "coreos"].includes(key),
  );
  if (unknown.length > 0)
    throw new LabError(`the lab's live installer knows no ${unknown.join(", ")} of cloud-config`);
  const layer: Layer = {};
  if (config.hostname) layer["etc/hostname"] = { content: `${config.hostname}\n` };
  if (config.ssh_authorized_keys) {
    const content = config.ssh_authorized_keys.map((key) => `${key}\n`).join("");
    layer["home/core/.ssh/authorized_keys"] = { content, mode: 0o600, core: true };
  }
  for (const { path, permissions = "0644", content } of config.write_files ?? []) {
    layer[path.replace(/^\/+/, "")] = { content, mode: parseInt(permissions, 8) };
  }
  for (const { name, content } of config.coreos?.units ?? []) {
    if (!/\.(network|netdev|link)$/.test(name))
      throw new LabError(`the lab's live installer starts no unit ${name}`);
    layer[`etc/systemd/network/${name}`] = { content };
  }
  return layer;
}
