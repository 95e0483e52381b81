import "reflect-metadata";
import { createHash, createPrivateKey, createPublicKey, webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";
import type * as pulumi from "@pulumi/pulumi";
import type { CertRequestArgs, LocallySignedCertArgs, SelfSignedCertArgs } from "@pulumi/tls";
import { LabError } from "../exec";
import type { Values } from "./values";

x509.cryptoProvider.set(webcrypto as never);

export const HOUR_MS = 3_600_000;

/** What a certificate may be for, by the published plugin's names. */
export const uses: Readonly<Record<string, x509.KeyUsageFlags | x509.ExtendedKeyUsage>> = {
  cert_signing: x509.KeyUsageFlags.keyCertSign,
  crl_signing: x509.KeyUsageFlags.cRLSign,
  digital_signature: x509.KeyUsageFlags.digitalSignature,
  client_auth: x509.ExtendedKeyUsage.clientAuth,
  server_auth: x509.ExtendedKeyUsage.serverAuth,
};
const curve = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

/** What the program may give for a request or for a certificate of either kind. */
type Inputs = pulumi.Unwrap<Partial<CertRequestArgs & SelfSignedCertArgs & LocallySignedCertArgs>>;

/** Signs a certificate: that of an authority for itself, or one that was requested from an authority. */
export async function issue(inputs: Inputs): Promise<Values> {
  const { caCertPem, caPrivateKeyPem, certRequestPem, privateKeyPem, validityPeriodHours = 0 } = inputs;
  const key = await keysOf(caPrivateKeyPem ?? privateKeyPem);
  const issuer = caCertPem ? new x509.X509Certificate(caCertPem) : undefined;
  const request = certRequestPem ? new x509.Pkcs10CertificateRequest(certRequestPem) : undefined;
  if (issuer && !issuer.publicKey.equal(key.public)) {
    throw new LabError("the authority's certificate is not that of its private key");
  }
  const own = nameOf(inputs);
  const start = new Date();
  const end = new Date(start.getTime() + validityPeriodHours * HOUR_MS);
  const publicKey = request?.publicKey ?? key.public;
  const certificate = await x509.X509CertificateGenerator.create({
    subject: request?.subjectName ?? own,
    issuer: issuer?.subjectName ?? own,
    notBefore: start,
    notAfter: end,
    publicKey,
    signingKey: key.signing,
    signingAlgorithm: curve,
    extensions: await extensionsOf(inputs, publicKey, issuer, request),
  });
  return {
    id: String(BigInt(`0x${certificate.serialNumber}`)),
    certPem: `${certificate.toString("pem")}\n`,
    [issuer ? "caKeyAlgorithm" : "keyAlgorithm"]: "ECDSA",
    validityStartTime: start.toISOString(),
    validityEndTime: end.toISOString(),
  };
}

/** Those of the published plugin, in its order. */
async function extensionsOf(
  { allowedUses = [], isCaCertificate = false, setSubjectKeyId }: Inputs,
  publicKey: x509.PublicKey,
  issuer: x509.X509Certificate | undefined,
  request: x509.Pkcs10CertificateRequest | undefined,
): Promise<x509.Extension[]> {
  const wanted = allowedUses.map((use) => uses[use]);
  const flags = wanted.reduce<number>((all, use) => (typeof use === "number" ? all | use : all), 0);
  const extended = wanted.filter((use) => typeof use === "string");
  const names = request?.getExtension("2.5.29.17");
  const issuerId = issuer?.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId;
  return [
    ...(flags ? [new x509.KeyUsagesExtension(flags, true)] : []),
    ...(extended.length > 0 ? [new x509.ExtendedKeyUsageExtension(extended)] : []),
    new x509.BasicConstraintsExtension(isCaCertificate, undefined, true),
    ...(setSubjectKeyId ? [await x509.SubjectKeyIdentifierExtension.create(publicKey)] : []),
    ...(issuerId ? [new x509.AuthorityKeyIdentifierExtension(issuerId)] : []),
    ...(names ? [names] : []),
  ];
}

/** Asks for a certificate of a key. */
export async function request(inputs: Inputs): Promise<Values> {
  const { privateKeyPem, dnsNames = [], ipAddresses = [] } = inputs;
  const key = await keysOf(privateKeyPem);
  const names = [
    ...dnsNames.map((value) => ({ type: "dns" as const, value })),
    ...ipAddresses.map((value) => ({ type: "ip" as const, value })),
  ];
  const made = await x509.Pkcs10CertificateRequestGenerator.create({
    name: nameOf(inputs),
    keys: { privateKey: key.signing, publicKey: await key.public.export(curve, ["verify"]) },
    signingAlgorithm: curve,
    extensions: names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names)] : [],
  });
  const certRequestPem = `${made.toString("pem")}\n`;
  const id = createHash("sha1").update(certRequestPem).digest("hex");
  return { id, certRequestPem, keyAlgorithm: "ECDSA" };
}

function nameOf({ subject: { organization, commonName } = {} }: Inputs): x509.Name {
  return new x509.Name([
    ...(organization === undefined ? [] : [{ O: [organization] }]),
    ...(commonName === undefined ? [] : [{ CN: [commonName] }]),
  ]);
}

async function keysOf(pem = "") {
  const key = createPrivateKey(pem);
  if (key.asymmetricKeyDetails?.namedCurve !== "prime256v1") {
    throw new LabError("the lab's stand-in signs with ECDSA keys on P256 only");
  }
  const der = key.export({ type: "pkcs8", format: "der" });
  return {
    public: new x509.PublicKey(createPublicKey(key).export({ type: "spki", format: "der" })),
    signing: await webcrypto.subtle.importKey("pkcs8", der, curve, false, ["sign"]),
  };
}
