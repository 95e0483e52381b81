import { createHash, createPublicKey, generateKeyPairSync, randomBytes, type KeyObject } from "node:crypto";
import { utils } from "ssh2";
import type { Values } from "./values";

/** What the program makes keys of. */
export type Algorithm = "ECDSA" | "ED25519";

/** A new private key; an ECDSA one is on the curve P-256. */
export function makeKey(algorithm: Algorithm): KeyObject {
  return algorithm === "ED25519"
    ? generateKeyPairSync("ed25519").privateKey
    : generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
}

/** A private key in every form that the published plugin gives it. */
export function describeKey(key: KeyObject): Values & { readonly id: string } {
  const publicKeyPem = createPublicKey(key).export({ type: "spki", format: "pem" }).toString();
  const pkcs8 = key.export({ type: "pkcs8", format: "pem" }).toString();
  const isEd25519 = key.asymmetricKeyType === "ed25519";
  const wire = sshPublicKey(key);
  const md5 = createHash("md5").update(wire).digest("hex");
  return {
    id: createHash("sha1").update(publicKeyPem).digest("hex"),
    privateKeyPem: isEd25519 ? pkcs8 : key.export({ type: "sec1", format: "pem" }).toString(),
    privateKeyPemPkcs8: pkcs8,
    privateKeyOpenssh: openSshPrivateKey(key, wire),
    publicKeyPem,
    publicKeyOpenssh: `${sshType(key)} ${wire.toString("base64")}\n`,
    publicKeyFingerprintMd5: (md5.match(/../g) ?? []).join(":"),
    publicKeyFingerprintSha256: `SHA256:${createHash("sha256").update(wire).digest("base64").replace(/=+$/, "")}`,
  };
}

function sshType(key: KeyObject): string {
  return key.asymmetricKeyType === "ed25519" ? "ssh-ed25519" : "ecdsa-sha2-nistp256";
}

/** A public key as SSH writes it (RFC 4253, 5656 and 8709). */
function sshPublicKey(key: KeyObject): Buffer {
  return Buffer.concat([field(sshType(key)), ...publicFields(key)]);
}

function publicFields(key: KeyObject): Buffer[] {
  const { x = "", y = "" } = createPublicKey(key).export({ format: "jwk" });
  const [first, second] = [x, y].map((part) => Buffer.from(part, "base64url"));
  if (!first || !second) throw new Error("a key without coordinates");
  return second.length === 0
    ? [field(first)]
    : [field("nistp256"), field(Buffer.concat([Buffer.from([4]), first, second]))];
}

/** OpenSSH's own form, without a passphrase (openssh/PROTOCOL.key), which neither Node.js nor ssh2 writes. */
function openSshPrivateKey(key: KeyObject, publicKey: Buffer): string {
  const { x = "", d = "" } = key.export({ format: "jwk" });
  const scalar = Buffer.from(d, "base64url");
  const secret =
    key.asymmetricKeyType === "ed25519"
      ? field(Buffer.concat([scalar, Buffer.from(x, "base64url")]))
      : field(positive(scalar));
  const check = randomBytes(4);
  const part = Buffer.concat([check, check, publicKey, secret, field("")]);
  const padding = Buffer.from(Array.from({ length: (8 - (part.length % 8)) % 8 }, (_, i) => i + 1));
  const body = Buffer.concat([
    Buffer.from("openssh-key-v1\0"),
    field("none"),
    field("none"),
    field(""),
    Buffer.from([0, 0, 0, 1]),
    field(publicKey),
    field(Buffer.concat([part, padding])),
  ]);
  const lines = body.toString("base64").match(/.{1,70}/g) ?? [];
  const text = [
    "-----BEGIN OPENSSH PRIVATE KEY-----",
    ...lines,
    "-----END OPENSSH PRIVATE KEY-----",
    "",
  ].join("\n");
  const read = utils.parseKey(text);
  if (read instanceof Error) throw read;
  return text;
}

/** A number as SSH writes it: no zeros in front but one that keeps it from being negative. */
function positive(bytes: Buffer): Buffer {
  const start = bytes.findIndex((byte) => byte !== 0);
  const digits = bytes.subarray(Math.max(start, 0));
  return (digits[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), digits]) : digits;
}

function field(content: string | Buffer): Buffer {
  const bytes = Buffer.from(content);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
