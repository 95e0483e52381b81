import { createHash, createPrivateKey, createPublicKey } from "node:crypto";
import { utils } from "ssh2";
import { LabError } from "../exec";
import type { Difference } from "./changes";
import type { Properties } from "./properties";
import type { ResourceType, StandIn, State } from "./standIn";
import { HOUR_MS, issue, request, uses } from "./tlsCertificates";
import type { Values } from "./values";

const keyOutputs = [
  "id",
  ...["privateKeyOpenssh", "privateKeyPem", "privateKeyPemPkcs8", "publicKeyOpenssh", "publicKeyPem"],
  ...["publicKeyFingerprintMd5", "publicKeyFingerprintSha256"],
];

const privateKey: ResourceType = {
  properties: {
    algorithm: { kind: "string", replaces: true, oneOf: ["ECDSA", "ED25519"] },
    ecdsaCurve: { kind: "string", optional: true, replaces: true, oneOf: ["P256"] },
  },
  defaults: { ecdsaCurve: "P224", rsaBits: 2048, __meta: '{"schema_version":"1"}' },
  made: keyOutputs,
  create: ({ algorithm, ecdsaCurve }) => {
    if (algorithm === "ED25519") return makeKey("ed25519");
    if (ecdsaCurve) return makeKey("ecdsa");
    throw new LabError("ecdsaCurve: the lab's stand-in makes ECDSA keys on P256 only: name it");
  },
  // Another key has other outputs.
  diff: (state, inputs, changes) =>
    changes.length === 0 ? [] : keyOutputs.map((path) => ({ path, kind: "update", replaces: false })),
};

/** A new private key in every form that the published plugin gives it; an ECDSA one is on the curve P-256. */
export function makeKey(algorithm: "ecdsa" | "ed25519"): Values {
  const privateKeyOpenssh = utils.generateKeyPairSync(algorithm, { bits: 256 }).private;
  const parsed = utils.parseKey(privateKeyOpenssh);
  // Where a public Ed25519 key begins with a zero, ssh2 1.17 leaves that out, and does not read the key again.
  if (parsed instanceof Error) return makeKey(algorithm);
  const key = createPrivateKey(parsed.getPrivatePEM());
  const publicKeyPem = createPublicKey(key).export({ type: "spki", format: "pem" });
  const privateKeyPemPkcs8 = key.export({ type: "pkcs8", format: "pem" });
  const wire = parsed.getPublicSSH();
  const md5 = createHash("md5").update(wire).digest("hex");
  const sha256 = createHash("sha256").update(wire).digest("base64");
  return {
    id: createHash("sha1").update(publicKeyPem).digest("hex"),
    privateKeyOpenssh,
    privateKeyPem: algorithm === "ecdsa" ? key.export({ type: "sec1", format: "pem" }) : privateKeyPemPkcs8,
    privateKeyPemPkcs8,
    publicKeyOpenssh: `${parsed.type} ${wire.toString("base64")}\n`,
    publicKeyPem,
    publicKeyFingerprintMd5: md5.replace(/..(?=.)/g, "$&:"),
    publicKeyFingerprintSha256: `SHA256:${sha256.replace(/=+$/, "")}`,
  };
}

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
  read: (state: State): State => ({
    ...state,
    outputs: { ...state.outputs, readyForRenewal: isDue(state.outputs) },
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
  defaults: certificate.defaults,
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
  if (Number.isNaN(end)) {
    throw new LabError(`the certificate's recorded end is no time: ${String(validityEndTime)}`);
  }
  return end - Number(hours ?? 0) * HOUR_MS <= Date.now();
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
