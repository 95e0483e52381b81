import "reflect-metadata";
import { createHash, createPrivateKey, createPublicKey, webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";
import type * as pulumi from "@pulumi/pulumi";
import type { CertRequestArgs, LocallySignedCertArgs, SelfSignedCertArgs } from "@pulumi/tls";
import { utils } from "ssh2";
import { LabError } from "../exec";
import type { Difference } from "./changes";
import type { Properties, Values } from "./properties";
import type { ResourceType, StandIn, State } from "./standIn";

x509.cryptoProvider.set(webcrypto as never);

const HOUR_MS = 3_600_000;

const keyOutputs = [
  ...["privateKeyOpenssh", "privateKeyPem", "privateKeyPemPkcs8", "publicKeyOpenssh", "publicKeyPem"],
  ...["publicKeyFingerprintMd5", "publicKeyFingerprintSha256", "id"],
];

const privateKey: ResourceType = {
  properties: {
    algorithm: { kind: "string", replaces: true, oneOf: ["ECDSA", "ED25519"] },
    ecdsaCurve: { kind: "string", optional: true, replaces: true, oneOf: ["P256"] },
  },
  defaults: { ecdsaCurve: "P224", rsaBits: 2048, __meta: '{"schema_version":"1"}' },
  made: keyOutputs,
  create: makeKey,
  // Another key has other outputs.
  diff: (state, inputs, changes) =>
    changes.length === 0 ? [] : keyOutputs.map((path) => ({ path, kind: "update", replaces: false })),
};

/** A new private key in every form that the published plugin gives it. */
function makeKey({ algorithm, ecdsaCurve }: Values): Values {
  const isEcdsa = algorithm === "ECDSA";
  if (isEcdsa && !ecdsaCurve) throw new LabError("ecdsaCurve: the lab's stand-in wants P256: name it");
  const privateKeyOpenssh = utils.generateKeyPairSync(isEcdsa ? "ecdsa" : "ed25519", { bits: 256 }).private;
  const parsed = utils.parseKey(privateKeyOpenssh);
  // Where a public Ed25519 key begins with a zero, ssh2 1.17 leaves that out, and does not read the key again.
  if (parsed instanceof Error) return makeKey({ algorithm, ecdsaCurve });
  const key = createPrivateKey(parsed.getPrivatePEM());
  const publicKeyPem = createPublicKey(key).export({ type: "spki", format: "pem" });
  const privateKeyPemPkcs8 = key.export({ type: "pkcs8", format: "pem" });
  const wire = parsed.getPublicSSH();
  const md5 = createHash("md5").update(wire).digest("hex");
  const sha256 = createHash("sha256").update(wire).digest("base64");
  return {
    id: createHash("sha1").update(publicKeyPem).digest("hex"),
    privateKeyOpenssh,
    privateKeyPem: isEcdsa ? key.export({ type: "sec1", format: "pem" }) : privateKeyPemPkcs8,
    privateKeyPemPkcs8,
    publicKeyOpenssh: `${parsed.type} ${wire.toString("base64")}\n`,
    publicKeyPem,
    publicKeyFingerprintMd5: md5.replace(/..(?=.)/g, "$&:"),
    publicKeyFingerprintSha256: `SHA256:${sha256.replace(/=+$/, "")}`,
  };
}

/** What a certificate may be for, by the published plugin's names. */
const uses: Readonly<Record<string, x509.KeyUsageFlags | x509.ExtendedKeyUsage>> = {
  cert_signing: x509.KeyUsageFlags.keyCertSign,
  crl_signing: x509.KeyUsageFlags.cRLSign,
  digital_signature: x509.KeyUsageFlags.digitalSignature,
  client_auth: x509.ExtendedKeyUsage.clientAuth,
  server_auth: x509.ExtendedKeyUsage.serverAuth,
};

const text = { kind: "string", replaces: true } as const;
const texts = { ...text, many: "list" } as const;
const part = { ...text, optional: true } as const;
const flag = { kind: "boolean", optional: true, replaces: true } as const;

const certRequest: ResourceType = {
  properties: {
    privateKeyPem: text,
    subject: { kind: { commonName: part }, optional: true, replaces: true },
    dnsNames: { ...texts, optional: true },
    ipAddresses: { ...texts, optional: true },
  },
  made: ["id", "certRequestPem", "keyAlgorithm"],
  create: request,
};

const certificateProperties = {
  allowedUses: { ...texts, oneOf: Object.keys(uses) },
  setSubjectKeyId: flag,
  validityPeriodHours: { kind: "number", replaces: true, minimum: 0 },
} satisfies Properties;

const certificate = {
  defaults: { earlyRenewalHours: 0, isCaCertificate: false, readyForRenewal: false, setSubjectKeyId: false },
  /** What one that is not made yet does not say. */
  made: ["id", "certPem", "maxPathLength", "validityStartTime", "validityEndTime"],
  create: issue,
  /** One whose renewal is due takes another. */
  diff: ({ outputs }: State, { earlyRenewalHours }: Values): Difference[] =>
    isDue({ ...outputs, earlyRenewalHours })
      ? [{ path: "readyForRenewal", kind: "update", replaces: true }]
      : [],
  read: ({ outputs, ...state }: State): State => ({
    ...state,
    outputs: { ...outputs, readyForRenewal: isDue(outputs) },
  }),
};

const selfSignedCert: ResourceType = {
  ...certificate,
  properties: {
    ...certificateProperties,
    privateKeyPem: text,
    subject: { kind: { commonName: part, organization: part }, optional: true, replaces: true },
    isCaCertificate: flag,
  },
  defaults: { ...certificate.defaults, setAuthorityKeyId: false },
  made: [...certificate.made, "keyAlgorithm"],
};

const locallySignedCert: ResourceType = {
  ...certificate,
  properties: {
    ...certificateProperties,
    certRequestPem: text,
    caPrivateKeyPem: text,
    caCertPem: text,
    earlyRenewalHours: { kind: "number", optional: true, minimum: 0 },
  },
  made: [...certificate.made, "caKeyAlgorithm"],
  planUpdate: updated,
  update: updated,
};

/** Only what is no part of the certificate changes in place. */
function updated({ outputs }: State, inputs: Values): Values {
  return { ...outputs, earlyRenewalHours: 0, ...inputs };
}

function isDue({ validityEndTime, earlyRenewalHours: hours }: Values): boolean {
  const end = Date.parse(String(validityEndTime));
  if (Number.isNaN(end)) throw new LabError(`the recorded end is no time: ${String(validityEndTime)}`);
  return end - Number(hours ?? 0) * HOUR_MS <= Date.now();
}

const curve = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

/** What the program may give for a request or for a certificate of either kind. */
type Inputs = pulumi.Unwrap<Partial<CertRequestArgs & SelfSignedCertArgs & LocallySignedCertArgs>>;

/** Signs a certificate: that of an authority for itself, or one that was requested from an authority. */
async function issue(inputs: Inputs): Promise<Values> {
  const { validityPeriodHours = 0 } = inputs;
  const request = held(inputs, "certRequestPem", (pem) => new x509.Pkcs10CertificateRequest(pem));
  const key = await keysOf(inputs);
  const issuer = held(inputs, "caCertPem", (pem) => new x509.X509Certificate(pem));
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
async function request(inputs: Inputs): Promise<Values> {
  const { dnsNames = [], ipAddresses = [] } = inputs;
  const key = await keysOf(inputs);
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

/** What a PEM holds, where there is one. @throws naming the property where that is of another kind */
function held<T>(inputs: Inputs, property: keyof Inputs & `${string}Pem`, read: (pem: string) => T) {
  const pem = inputs[property];
  try {
    return pem ? read(pem) : undefined;
  } catch {
    throw new LabError(`${property}: this is no such PEM`);
  }
}

async function keysOf(inputs: Inputs) {
  const key = held(inputs, inputs.caPrivateKeyPem ? "caPrivateKeyPem" : "privateKeyPem", createPrivateKey);
  if (key?.asymmetricKeyDetails?.namedCurve !== "prime256v1") {
    throw new LabError("the lab's stand-in signs with ECDSA keys on P256 only");
  }
  const der = key.export({ type: "pkcs8", format: "der" });
  return {
    public: new x509.PublicKey(createPublicKey(key).export({ type: "spki", format: "der" })),
    signing: await webcrypto.subtle.importKey("pkcs8", der, curve, false, ["sign"]),
  };
}

/** In place of the plugin `tls`: keys, and certificates of an authority of one's own. */
export const standIn: StandIn = {
  types: {
    "tls:index/privateKey:PrivateKey": privateKey,
    "tls:index/selfSignedCert:SelfSignedCert": selfSignedCert,
    "tls:index/certRequest:CertRequest": certRequest,
    "tls:index/locallySignedCert:LocallySignedCert": locallySignedCert,
  },
};
