/** What a live installer is told by its config drive, so that first contact needs no console and is pinned. */
import type { InterfaceModel } from "./model";
import { firstInterface } from "./network/networkd";

export interface InstallerModel {
  readonly hostname: string;
  /** Who may log in as `core`; public keys in OpenSSH's one-line form. */
  readonly sshAuthorizedKeys: readonly string[];
  readonly hostKey: { readonly privateKey: string; readonly publicKey: string };
  readonly network: InterfaceModel;
}

/**
 * Cloud-config, which the live system reads from a config drive. Addresses come before commands, and SSH is started
 * per connection, so that the next one shows the new host key.
 */
export function renderInstallerUserData(model: InstallerModel): string {
  const { hostname, sshAuthorizedKeys, hostKey, network } = model;
  const file = (path: string, mode: string, content: string) => [
    `  - path: ${path}`,
    `    permissions: "${mode}"`,
    "    owner: root:root",
    ...block("    content", content, 6),
  ];
  const lines = [
    "#cloud-config",
    `hostname: ${hostname}`,
    "ssh_authorized_keys:",
    ...sshAuthorizedKeys.map((key) => `  - ${JSON.stringify(key)}`),
    "write_files:",
    ...file("/etc/ssh/ssh_host_ed25519_key", "0600", hostKey.privateKey),
    ...file("/etc/ssh/ssh_host_ed25519_key.pub", "0644", hostKey.publicKey),
    "coreos:",
    "  units:",
    "    - name: 00-moorage.network",
    "      runtime: true",
    ...block("      content", firstInterface({ distribution: "flatcar", network }), 8),
  ];
  return `${lines.join("\n")}\n`;
}

/** A text as YAML's literal block. */
function block(key: string, text: string, indent: number): string[] {
  const lines = text.trimEnd().split("\n");
  return [`${key}: |`, ...lines.map((line) => (line === "" ? "" : `${" ".repeat(indent)}${line}`))];
}
