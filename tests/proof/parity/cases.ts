/** The table: for each type of resource, its inputs and another value for each property that `components/` uses. */
import { secretOf, type Plugin, type Wire } from "./plugin";

export interface Case {
  readonly title: string;
  readonly type: string;
  /** Outputs that each plugin makes up. */
  readonly random: readonly string[];
  readonly inputs: (published: Plugin) => Wire | Promise<Wire>;
  /**
   * By the property's path, with a comment after a comma: the other value, or a function of the published plugin that
   * makes it; undefined takes the property away. In a list, a path leads to the first item.
   */
  readonly changes: Readonly<Record<string, unknown>>;
  /** Paths of values that come from other resources, so that they may not be known before an update. */
  readonly unknown?: readonly string[];
}

/** Inputs with another value at a path of a {@link Case}. */
export function put(inputs: Wire, path: string, value: unknown): Wire {
  const [key = "", ...inner] = path.replace(/,.*/, "").split(".");
  const before = inputs[key];
  const within = (one: unknown): unknown =>
    inner.length === 0 ? value : put((one ?? {}) as Wire, inner.join("."), value);
  const isList = Array.isArray(before) && inner.length > 0;
  const after = isList ? [within(before[0]), ...before.slice(1)] : within(before);
  return Object.fromEntries(
    Object.entries({ ...inputs, [key]: after }).filter(([, one]) => one !== undefined),
  );
}

const created = new Map<string, Promise<Wire>>();

/** The id and outputs of a resource that others refer to; the published plugin creates it once. */
export function once(plugin: Plugin, name: string, type: string, inputs: Wire): Promise<Wire> {
  const create = async () => {
    const checked = await plugin.check(type, inputs, {}, name);
    const { id, outputs } = await plugin.create(type, checked.inputs, false, name);
    return { id, ...outputs };
  };
  const found = created.get(name) ?? create();
  created.set(name, found);
  return found;
}

const privateKey = "tls:index/privateKey:PrivateKey";
const selfSigned = "tls:index/selfSignedCert:SelfSignedCert";
const certRequest = "tls:index/certRequest:CertRequest";

const keyOf = (name: string) => async (plugin: Plugin) =>
  (await once(plugin, name, privateKey, { algorithm: "ECDSA", ecdsaCurve: "P256" })).privateKeyPem;

const authority = async (plugin: Plugin): Promise<Wire> => ({
  privateKeyPem: await keyOf("authority")(plugin),
  subject: { commonName: "The authority", organization: "Moorage" },
  isCaCertificate: true,
  setSubjectKeyId: true,
  allowedUses: ["cert_signing", "crl_signing"],
  validityPeriodHours: 87_600,
});

const request = async (plugin: Plugin): Promise<Wire> => ({
  privateKeyPem: await keyOf("leaf")(plugin),
  subject: { commonName: "leaf" },
  dnsNames: ["registry.example", "localhost"],
  ipAddresses: ["10.0.2.11", "127.0.0.1"],
});

const leaf = async (plugin: Plugin): Promise<Wire> => ({
  certRequestPem: (await once(plugin, "request", certRequest, await request(plugin))).certRequestPem,
  caPrivateKeyPem: await keyOf("authority")(plugin),
  caCertPem: (await once(plugin, "certificate", selfSigned, await authority(plugin))).certPem,
  allowedUses: ["digital_signature", "server_auth"],
  setSubjectKeyId: true,
  validityPeriodHours: 8760,
  earlyRenewalHours: 2160,
});

const keyOutputs = ["", "Openssh", "Pem", "PemPkcs8"].map((suffix) => `privateKey${suffix}`);
const publicOutputs = ["FingerprintMd5", "FingerprintSha256", "Openssh", "Pem"].map(
  (suffix) => `publicKey${suffix}`,
);
const ofKeys = ["id", ...keyOutputs, ...publicOutputs];
const ofCertificates = ["id", "certPem", "validityStartTime", "validityEndTime"];

export const cases: readonly Case[] = [
  {
    title: "a password",
    type: "random:index/randomPassword:RandomPassword",
    random: ["result", "bcryptHash"],
    inputs: () => ({ length: 24, special: false }),
    changes: { length: 25, special: undefined },
  },
  {
    title: "a random id",
    type: "random:index/randomId:RandomId",
    random: ["id", "hex", "dec", "b64Std", "b64Url"],
    inputs: () => ({ byteLength: 8 }),
    changes: { byteLength: 4 },
  },
  {
    title: "a command",
    type: "command:local:Command",
    random: [],
    inputs: () => ({ create: "cat; echo more; echo error >&2", stdin: secretOf("word\n"), logging: "none" }),
    changes: { create: "tr a-z A-Z", stdin: secretOf("another"), logging: undefined },
    unknown: ["create", "stdin"],
  },
  {
    title: "an Ed25519 key",
    type: privateKey,
    random: ofKeys,
    inputs: () => ({ algorithm: "ED25519" }),
    changes: { algorithm: "ECDSA", ecdsaCurve: "P256" },
  },
  {
    title: "an ECDSA key",
    type: privateKey,
    random: ofKeys,
    inputs: () => ({ algorithm: "ECDSA", ecdsaCurve: "P256" }),
    changes: { algorithm: "ED25519", ecdsaCurve: undefined },
  },
  {
    title: "an authority's certificate",
    type: selfSigned,
    random: ofCertificates,
    inputs: authority,
    changes: {
      privateKeyPem: keyOf("other"),
      "subject.commonName": "Another",
      "subject.organization": undefined,
      isCaCertificate: false,
      setSubjectKeyId: undefined,
      allowedUses: ["crl_signing", "cert_signing"],
      validityPeriodHours: 9000,
    },
    unknown: ["privateKeyPem"],
  },
  {
    title: "a certificate request",
    type: certRequest,
    random: ["id", "certRequestPem"],
    inputs: request,
    changes: {
      privateKeyPem: keyOf("other"),
      "subject.commonName": "another",
      dnsNames: [],
      ipAddresses: ["10.0.2.12"],
    },
    unknown: ["privateKeyPem", "dnsNames", "ipAddresses"],
  },
  {
    title: "an authority's leaf",
    type: "tls:index/locallySignedCert:LocallySignedCert",
    random: ofCertificates,
    inputs: leaf,
    changes: {
      certRequestPem: "another",
      caPrivateKeyPem: keyOf("other"),
      caCertPem: "another",
      allowedUses: ["digital_signature", "server_auth", "client_auth"],
      setSubjectKeyId: false,
      validityPeriodHours: 4000,
      earlyRenewalHours: 1,
      "earlyRenewalHours, already over": 9000,
    },
    unknown: ["certRequestPem", "caPrivateKeyPem", "caCertPem"],
  },
];
