import "reflect-metadata";
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  randomBytes,
  webcrypto,
  type KeyObject,
} from "node:crypto";
import * as x509 from "@peculiar/x509";
import { StandInError } from "./standIn";
import type { Values } from "./values";

x509.cryptoProvider.set(webcrypto as never);

export interface Validity {
  readonly start: Date;
  readonly end: Date;
}

interface Certificate {
  /** The key that signs, PEM. */
  readonly key: string;
  /** The certificate of that key, PEM; without one the certificate is its own. */
  readonly authority?: string;
  /** Whose certificate it is, PEM; without one it is that of `key`. */
  readonly request?: string;
  readonly subject?: Values;
  readonly validity: Validity;
  /** By the published plugin's names. */
  readonly uses: readonly string[];
  readonly isAuthority: boolean;
  readonly subjectKeyId: boolean;
}

const keyUsages: Readonly<Record<string, x509.KeyUsageFlags>> = {
  cert_signing: x509.KeyUsageFlags.keyCertSign,
  crl_signing: x509.KeyUsageFlags.cRLSign,
  digital_signature: x509.KeyUsageFlags.digitalSignature,
};
const extendedUsages: Readonly<Record<string, x509.ExtendedKeyUsage>> = {
  client_auth: x509.ExtendedKeyUsage.clientAuth,
  server_auth: x509.ExtendedKeyUsage.serverAuth,
};

/** Signs a certificate; the extensions are those of the published plugin, in its order. */
export async function issue(wanted: Certificate) {
  const key = read("the private key", () => createPrivateKey(wanted.key));
  const authority = wanted.authority;
  const issuer = authority
    ? read("the authority's certificate", () => new x509.X509Certificate(authority))
    : undefined;
  if (issuer && !issuer.publicKey.equal(new x509.PublicKey(spkiOf(key)))) {
    throw new StandInError("the authority's certificate is not that of its private key");
  }
  const text = wanted.request;
  const request = text
    ? read("the certificate request", () => new x509.Pkcs10CertificateRequest(text))
    : undefined;
  const serial = randomBytes(16);
  serial.writeUInt8(serial.readUInt8() & 0x7f, 0);
  const publicKey = request?.publicKey ?? new x509.PublicKey(spkiOf(key));
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial.toString("hex"),
    subject: request ? request.subjectName : nameOf(wanted.subject ?? {}),
    issuer: issuer ? issuer.subjectName : nameOf(wanted.subject ?? {}),
    notBefore: wanted.validity.start,
    notAfter: wanted.validity.end,
    publicKey,
    signingKey: await signingKey(key),
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
    extensions: await extensionsOf(wanted, publicKey, issuer, request),
  });
  return {
    id: BigInt(`0x${serial.toString("hex")}`).toString(),
    certPem: `${certificate.toString("pem")}\n`,
    keyAlgorithm: "ECDSA",
    validityStartTime: wanted.validity.start.toISOString(),
    validityEndTime: wanted.validity.end.toISOString(),
  };
}

async function extensionsOf(
  wanted: Certificate,
  publicKey: x509.PublicKey,
  issuer: x509.X509Certificate | undefined,
  request: x509.Pkcs10CertificateRequest | undefined,
): Promise<x509.Extension[]> {
  const usages = wanted.uses.reduce((all, use) => all | (keyUsages[use] ?? 0), 0);
  const extended = wanted.uses.flatMap((use) => extendedUsages[use] ?? []);
  const names = request?.getExtension("2.5.29.17");
  const issuerId = issuer?.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId;
  return [
    ...(usages ? [new x509.KeyUsagesExtension(usages, true)] : []),
    ...(extended.length > 0 ? [new x509.ExtendedKeyUsageExtension(extended)] : []),
    new x509.BasicConstraintsExtension(wanted.isAuthority, undefined, true),
    ...(wanted.subjectKeyId ? [await x509.SubjectKeyIdentifierExtension.create(publicKey)] : []),
    ...(issuerId ? [new x509.AuthorityKeyIdentifierExtension(issuerId)] : []),
    ...(names ? [names] : []),
  ];
}

interface CertificateRequest {
  /** PEM. */
  readonly key: string;
  readonly subject: Values;
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
}

/** Asks for a certificate of a key. */
export async function request({ key: text, subject, dnsNames, ipAddresses }: CertificateRequest) {
  const key = read("the private key", () => createPrivateKey(text));
  const names = [
    ...dnsNames.map((value) => ({ type: "dns" as const, value })),
    ...ipAddresses.map((value) => ({ type: "ip" as const, value })),
  ];
  const made = await x509.Pkcs10CertificateRequestGenerator.create({
    name: nameOf(subject),
    keys: { privateKey: await signingKey(key), publicKey: await verifyingKey(key) },
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
    extensions: names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names)] : [],
  });
  const certRequestPem = `${made.toString("pem")}\n`;
  return {
    id: createHash("sha1").update(certRequestPem).digest("hex"),
    certRequestPem,
    keyAlgorithm: "ECDSA",
  };
}

function nameOf({ organization, commonName }: Values): x509.Name {
  return new x509.Name([
    ...(organization === undefined ? [] : [{ O: [{ printableString: String(organization) }] }]),
    ...(commonName === undefined ? [] : [{ CN: [{ printableString: String(commonName) }] }]),
  ]);
}

function spkiOf(key: KeyObject): Buffer {
  return createPublicKey(key).export({ type: "spki", format: "der" });
}

const curve = { name: "ECDSA", namedCurve: "P-256" } as const;

function signingKey(key: KeyObject): Promise<webcrypto.CryptoKey> {
  if (key.asymmetricKeyDetails?.namedCurve !== "prime256v1") {
    throw new StandInError("the lab's stand-in signs with ECDSA keys on P256 only");
  }
  const der = key.export({ type: "pkcs8", format: "der" });
  return webcrypto.subtle.importKey("pkcs8", der, curve, false, ["sign"]);
}

function verifyingKey(key: KeyObject): Promise<webcrypto.CryptoKey> {
  return webcrypto.subtle.importKey("spki", spkiOf(key), curve, true, ["verify"]);
}

function read<T>(what: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new StandInError(
      `${what} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}
