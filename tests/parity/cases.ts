import { secretOf, type Plugin, type Wire } from "./plugin";

/** One resource, with a changed value for each of its properties. */
export interface Case {
  readonly title: string;
  readonly type: string;
  /** Outputs that no two plugins make alike. */
  readonly own: readonly string[];
  readonly inputs: (published: Plugin) => Wire | Promise<Wire>;
  /** What of the inputs an update changes in place. */
  readonly update?: (published: Plugin) => Wire | Promise<Wire>;
  /**
   * By the property's path, and after a comma what else changes: what is given in place of the first inputs; undefined
   * takes a property away.
   */
  readonly changes: Readonly<Record<string, (published: Plugin) => Wire | Promise<Wire>>>;
  /** What somebody changes past Pulumi, of what is kept outside of the state. */
  readonly byHand?: ByHand;
}

/** Changes with Docker's own tools, each by the properties that it changes, and after a comma what of them. */
export interface ByHand {
  /** Values by their paths in Docker's API, in the first of each list. */
  readonly changes: Readonly<Record<string, (published: Plugin) => Wire | Promise<Wire>>>;
  /** Changes that a refresh does not find, as the published plugin does not look there. */
  readonly unseen?: readonly string[];
  /** What Docker refuses, and what it says then. */
  readonly refused?: Readonly<Record<string, { readonly change: Wire; readonly says: RegExp }>>;
}

/** The paths of properties that a change by hand is about: `labels.(label|value), none` is about two. */
export function pathsByHand(key: string): string[] {
  const [, place = "", properties = ""] = /^(.*?)\(?([^(]*?)\)?(?:,.*)?$/.exec(key) ?? [];
  return properties.split("|").map((property) => place + property);
}

/** Inputs with a value where a path leads, in the first of each list; undefined takes away what is there. */
export function put(inputs: Wire, path: string, value: unknown): Wire {
  const [key = "", ...inner] = path.replace(/,.*/, "").split(".");
  const before = inputs[key];
  const within = (one: unknown): unknown =>
    inner.length === 0 ? value : put((one ?? {}) as Wire, inner.join("."), value);
  const isList = Array.isArray(before) && inner.length > 0;
  const after = isList ? [within(before[0]), ...before.slice(1)] : within(before);
  return given({ ...inputs, [key]: after });
}

/** Inputs after a change of a {@link Case}. */
export function changed(inputs: Wire, change: Wire): Wire {
  return given({ ...inputs, ...change });
}

/** Properties without those that are undefined. */
function given(values: Wire): Wire {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

const privateKey = "tls:index/privateKey:PrivateKey";
const keyOutputs = [
  "id",
  "privateKeyOpenssh",
  "privateKeyPem",
  "privateKeyPemPkcs8",
  "publicKeyFingerprintMd5",
  "publicKeyFingerprintSha256",
  "publicKeyOpenssh",
  "publicKeyPem",
];
const certificateOutputs = ["id", "certPem", "validityStartTime", "validityEndTime"];

/** Made once, by the published plugin: what others are made of. */
const made = new Map<string, Promise<Wire>>();

function once(plugin: Plugin, name: string, type: string, inputs: () => Wire | Promise<Wire>): Promise<Wire> {
  const make = async () => {
    const checked = await plugin.check(type, await inputs());
    return (await plugin.create(type, checked.inputs)).outputs;
  };
  const found = made.get(name) ?? make();
  made.set(name, found);
  return found;
}

async function keyOf(plugin: Plugin, name: string): Promise<unknown> {
  return (await once(plugin, name, privateKey, () => ({ algorithm: "ECDSA", ecdsaCurve: "P256" })))
    .privateKeyPem;
}

const authorityInputs = async (plugin: Plugin): Promise<Wire> => ({
  privateKeyPem: await keyOf(plugin, "authority"),
  subject: { commonName: "The authority", organization: "Moorage" },
  isCaCertificate: true,
  setSubjectKeyId: true,
  allowedUses: ["cert_signing", "crl_signing"],
  validityPeriodHours: 87_600,
});

const requestInputs = async (plugin: Plugin): Promise<Wire> => ({
  privateKeyPem: await keyOf(plugin, "leaf"),
  subject: { commonName: "leaf" },
  dnsNames: ["registry.example", "localhost"],
  ipAddresses: ["10.0.2.11", "127.0.0.1"],
});

const leafInputs = async (plugin: Plugin): Promise<Wire> => ({
  certRequestPem: (
    await once(plugin, "request", "tls:index/certRequest:CertRequest", () => requestInputs(plugin))
  ).certRequestPem,
  caPrivateKeyPem: await keyOf(plugin, "authority"),
  caCertPem: (
    await once(plugin, "certificate", "tls:index/selfSignedCert:SelfSignedCert", () =>
      authorityInputs(plugin),
    )
  ).certPem,
  allowedUses: ["digital_signature", "server_auth"],
  setSubjectKeyId: true,
  validityPeriodHours: 8760,
  earlyRenewalHours: 2160,
});

const password = "random:index/randomPassword:RandomPassword";
const command = { create: "cat; echo more; echo error >&2", stdin: secretOf("word\n"), logging: "none" };

export const cases: readonly Case[] = [
  {
    title: "a password",
    type: password,
    own: ["result", "bcryptHash"],
    inputs: () => ({ length: 24, special: false }),
    changes: { length: () => ({ length: 25 }), special: () => ({ special: undefined }) },
  },
  {
    title: "a random id",
    type: "random:index/randomId:RandomId",
    own: ["id", "hex", "dec", "b64Std", "b64Url"],
    inputs: () => ({ byteLength: 8 }),
    changes: { byteLength: () => ({ byteLength: 4 }) },
  },
  {
    title: "a command",
    type: "command:local:Command",
    own: [],
    inputs: () => command,
    update: () => ({ ...command, create: "tr a-z A-Z" }),
    changes: {
      create: () => ({ create: "true" }),
      stdin: () => ({ stdin: secretOf("another") }),
      logging: () => ({ logging: undefined }),
    },
  },
  {
    title: "an Ed25519 key",
    type: privateKey,
    own: keyOutputs,
    inputs: () => ({ algorithm: "ED25519" }),
    changes: {
      algorithm: () => ({ algorithm: "ECDSA" }),
      ecdsaCurve: () => ({ ecdsaCurve: "P256" }),
      "algorithm, with a curve": () => ({ algorithm: "ECDSA", ecdsaCurve: "P256" }),
    },
  },
  {
    title: "an ECDSA key",
    type: privateKey,
    own: keyOutputs,
    inputs: () => ({ algorithm: "ECDSA", ecdsaCurve: "P256" }),
    changes: {
      algorithm: () => ({ algorithm: "ED25519" }),
      ecdsaCurve: () => ({ ecdsaCurve: undefined }),
      "algorithm, without a curve": () => ({ algorithm: "ED25519", ecdsaCurve: undefined }),
    },
  },
  {
    title: "an authority's certificate",
    type: "tls:index/selfSignedCert:SelfSignedCert",
    own: certificateOutputs,
    inputs: authorityInputs,
    changes: {
      privateKeyPem: async (plugin) => ({ privateKeyPem: await keyOf(plugin, "other") }),
      "subject.commonName": () => ({ subject: { commonName: "Another", organization: "Moorage" } }),
      "subject.organization": () => ({ subject: { commonName: "The authority" } }),
      isCaCertificate: () => ({ isCaCertificate: false }),
      setSubjectKeyId: () => ({ setSubjectKeyId: undefined }),
      allowedUses: () => ({ allowedUses: ["crl_signing", "cert_signing"] }),
      validityPeriodHours: () => ({ validityPeriodHours: 9000 }),
    },
  },
  {
    title: "a certificate request",
    type: "tls:index/certRequest:CertRequest",
    own: ["id", "certRequestPem"],
    inputs: requestInputs,
    changes: {
      privateKeyPem: async (plugin) => ({ privateKeyPem: await keyOf(plugin, "other") }),
      "subject.commonName": () => ({ subject: { commonName: "another" } }),
      dnsNames: () => ({ dnsNames: [] }),
      ipAddresses: () => ({ ipAddresses: ["10.0.2.12"] }),
    },
  },
  {
    title: "a certificate request without names",
    type: "tls:index/certRequest:CertRequest",
    own: ["id", "certRequestPem"],
    inputs: async (plugin) => ({ ...(await requestInputs(plugin)), dnsNames: [], ipAddresses: [] }),
    changes: {},
  },
  {
    title: "an authority's leaf",
    type: "tls:index/locallySignedCert:LocallySignedCert",
    own: certificateOutputs,
    inputs: leafInputs,
    update: async (plugin) => ({ ...(await leafInputs(plugin)), earlyRenewalHours: 1 }),
    changes: {
      certRequestPem: () => ({ certRequestPem: "another" }),
      caPrivateKeyPem: async (plugin) => ({ caPrivateKeyPem: await keyOf(plugin, "other") }),
      caCertPem: () => ({ caCertPem: "another" }),
      allowedUses: () => ({ allowedUses: ["digital_signature", "server_auth", "client_auth"] }),
      setSubjectKeyId: () => ({ setSubjectKeyId: false }),
      validityPeriodHours: () => ({ validityPeriodHours: 4000 }),
      earlyRenewalHours: () => ({ earlyRenewalHours: 1 }),
      "earlyRenewalHours, which is over": () => ({ earlyRenewalHours: 9000 }),
    },
  },
];
