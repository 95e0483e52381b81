/** Host keys as they are pinned and shown, and the credentials of a connection. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { ConnectConfig } from "ssh2";
import { utils } from "ssh2";
import type { Connection } from "../contract";
import { HostKeyError, LoginError, messageOf } from "../errors";

/** A host key in the form that `ssh-keygen -l` prints, `SHA256:…`. */
export function fingerprint(key: Buffer): string {
  return `SHA256:${createHash("sha256").update(key).digest("base64").replace(/=+$/, "")}`;
}

/** A raw host key in OpenSSH's one-line form. */
export function publicKeyLine(key: Buffer): string {
  const length = key.readUInt32BE(0);
  return `${key.subarray(4, 4 + length).toString("ascii")} ${key.toString("base64")}`;
}

/** The raw key of a one-line public key. */
export function parsePublicKey(node: string, line: string): Buffer {
  const [type, data] = line.trim().split(/\s+/);
  const key = Buffer.from(data ?? "", "base64");
  const shown = key.length > 4 ? key.subarray(4, 4 + key.readUInt32BE(0)).toString("ascii") : undefined;
  if (shown === undefined || shown !== type) {
    throw new HostKeyError(
      node,
      `the host key "${line.slice(0, 40)}…" is not of the form "ssh-ed25519 AAAA…"`,
    );
  }
  return key;
}

/** Why the key found at a host is refused; `undefined` when it is the pinned one. */
export function hostKeyProblem(connection: Connection, found: Buffer): HostKeyError | undefined {
  const { node, host, port, hostKey } = connection;
  if (hostKey === undefined) {
    return new HostKeyError(
      node,
      `the host key of ${host}:${port} is not known, so nothing was sent to it. Found: ${fingerprint(found)}. ` +
        "Compare it on the host's own console (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), " +
        `then put this into the node's ssh settings in the configuration:\n  hostKey: ${publicKeyLine(found)}`,
    );
  }
  const wanted = parsePublicKey(node, hostKey);
  if (wanted.equals(found)) return undefined;
  return new HostKeyError(
    node,
    `${host}:${port} shows another host key than the pinned one, so nothing was sent to it. ` +
      `Found: ${fingerprint(found)}, wanted: ${fingerprint(wanted)}. Compare with the key on the host's own console ` +
      "(ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub). If that is the one found, the host was installed or given " +
      "a key by hand: put the wanted key back there, or correct hostKey where the configuration names it. " +
      "If it is not, somebody else answers at this address.",
  );
}

/** A host that has no key of the pinned kind cannot show the pinned one. */
export function otherKindOfKey({ node, host, port, hostKey = "" }: Connection): HostKeyError {
  const kind = hostKey.trim().split(/\s+/)[0] ?? "";
  return new HostKeyError(
    node,
    `${host}:${port} has no host key of the pinned kind (${kind}), so nothing was sent to it. ` +
      "See which it has with `ssh-keyscan`, compare on the host's own console, and correct hostKey in the configuration.",
  );
}

/** Which algorithms to ask for, so that a host with several keys shows the pinned one. */
export function hostKeyAlgorithms(connection: Connection): string[] | undefined {
  const type = connection.hostKey?.trim().split(/\s+/)[0];
  if (type === undefined) return undefined;
  return type === "ssh-rsa" ? ["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"] : [type];
}

export type Credentials = Pick<ConnectConfig, "privateKey" | "agent">;

export interface LoginKey {
  readonly credentials: Credentials;
  readonly described: string;
  /** In OpenSSH's one-line form; unknown where an agent holds the keys. */
  readonly publicKey?: string;
}

/** The key to log in with: `privateKey`, else `identityFile`, else the agent. */
export function credentialsOf(connection: Connection): LoginKey {
  const { node, privateKey, identityFile } = connection;
  if (privateKey !== undefined && privateKey !== "") {
    return { ...checked(node, privateKey, "privateKey"), described: "the configured private key" };
  }
  if (identityFile !== undefined && identityFile !== "") {
    let text: string;
    try {
      text = readFileSync(identityFile, "utf8");
    } catch (error) {
      throw new LoginError(node, `identityFile ${identityFile} cannot be read: ${messageOf(error)}`);
    }
    return { ...checked(node, text, identityFile), described: identityFile };
  }
  const agent = process.env["SSH_AUTH_SOCK"];
  if (agent === undefined || agent === "") {
    throw new LoginError(
      node,
      "there is no key to log in with: set privateKey or identityFile in the node's ssh settings, or start an SSH agent",
    );
  }
  return { credentials: { agent }, described: "the SSH agent's keys" };
}

function checked(node: string, text: string, origin: string): Omit<LoginKey, "described"> {
  const parsed = utils.parseKey(text);
  if (parsed instanceof Error) {
    const why = /encrypted/i.test(parsed.message)
      ? "is encrypted: load it into an SSH agent instead"
      : `is not a private key in OpenSSH's or PEM form (${parsed.message})`;
    throw new LoginError(node, `${origin} ${why}`);
  }
  return { credentials: { privateKey: text }, publicKey: publicKeyLine(parsed.getPublicSSH()) };
}
