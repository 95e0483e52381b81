import {
  changedInputs,
  StandInError,
  type Change,
  type ResourceType,
  type StandIn,
  type State,
} from "./standIn";
import { withDefaults, type Properties, type Property } from "./properties";
import { describeKey, makeKey } from "./tlsKeys";
import { issue, request, type Validity } from "./tlsCertificates";
import { UNKNOWN, type Values } from "./values";

const HOUR_MS = 3_600_000;

const keyProperties: Properties = {
  algorithm: { kind: "string", required: true, replaces: true, oneOf: ["ECDSA", "ED25519"] },
  ecdsaCurve: { kind: "string", replaces: true, oneOf: ["P256"], default: "P224" },
};

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

const privateKey: ResourceType = {
  properties: keyProperties,
  secretOutputs: ["privateKeyOpenssh", "privateKeyPem", "privateKeyPemPkcs8"],
  check: ({ algorithm, ecdsaCurve }) =>
    algorithm === "ECDSA" && ecdsaCurve === undefined
      ? [{ property: "ecdsaCurve", reason: "the lab's stand-in makes ECDSA keys on P256 only: name it" }]
      : [],
  plan: (inputs) => ({ ...recordedKey(inputs), ...unknown(keyOutputs) }),
  create: (inputs) => {
    const made = describeKey(makeKey(inputs.algorithm === "ED25519" ? "ED25519" : "ECDSA"));
    const outputs = { ...recordedKey(inputs), ...made, __meta: '{"schema_version":"1"}' };
    return Promise.resolve({ id: made.id, outputs });
  },
  diff: ({ outputs }, inputs) => {
    const { replaces } = changedInputs(
      keyProperties,
      only(keyProperties, outputs),
      withDefaults(keyProperties, inputs),
    );
    // Another key has other outputs.
    return { replaces, diffs: replaces.length > 0 ? [...replaces, ...keyOutputs] : [] };
  },
};

function recordedKey(inputs: Values): Values {
  return { ...withDefaults(keyProperties, inputs), rsaBits: 2048 };
}

const text = { kind: "string", required: true, replaces: true } as const;
const texts = { kind: { list: "string" }, replaces: true } as const;
const pem = { ...text, secret: true } as const;
const uses = ["cert_signing", "client_auth", "crl_signing", "digital_signature", "server_auth"];
/** Who a certificate is for. */
const subjectOf = (...keys: string[]): Property => ({
  kind: { object: Object.fromEntries(keys.map((key) => [key, { kind: "string" }])) },
  replaces: true,
});

const certificateProperties = {
  allowedUses: { ...texts, required: true, oneOf: uses },
  setSubjectKeyId: { kind: "boolean", replaces: true, default: false },
  validityPeriodHours: { kind: "number", required: true, replaces: true, minimum: 0 },
} as const;
const earlyRenewal = { kind: "number", minimum: 0, default: 0 } as const;

/** What a certificate that is not made yet does not say. */
const certificateOutputs = ["id", "certPem", "maxPathLength", "validityStartTime", "validityEndTime"];

const selfSignedProperties: Properties = {
  ...certificateProperties,
  privateKeyPem: pem,
  subject: subjectOf("commonName", "organization"),
  isCaCertificate: { kind: "boolean", replaces: true, default: false },
};

const selfSignedCert: ResourceType = {
  properties: selfSignedProperties,
  plan: (inputs, state) => planned(recorded(inputs), state, [...certificateOutputs, "keyAlgorithm"]),
  create: async (inputs) => {
    const made = await issue({
      ...contentOf(inputs),
      subject: inputs.subject as Values,
      key: String(inputs.privateKeyPem),
    });
    return { id: made.id, outputs: { ...recorded(inputs), ...made } };
  },
  diff: (state, inputs) => changed(selfSignedProperties, state, inputs),
  read: refreshed,
};

function recorded(inputs: Values): Values {
  return {
    ...withDefaults(selfSignedProperties, inputs),
    earlyRenewalHours: 0,
    readyForRenewal: false,
    setAuthorityKeyId: false,
  };
}

const requestProperties: Properties = {
  privateKeyPem: pem,
  subject: subjectOf("commonName"),
  dnsNames: texts,
  ipAddresses: texts,
};

const certRequest: ResourceType = {
  properties: requestProperties,
  plan: (inputs) => ({ ...inputs, ...unknown(["id", "certRequestPem", "keyAlgorithm"]) }),
  create: async (inputs) => {
    const made = await request({
      key: String(inputs.privateKeyPem),
      subject: (inputs.subject ?? {}) as Values,
      dnsNames: (inputs.dnsNames ?? []) as string[],
      ipAddresses: (inputs.ipAddresses ?? []) as string[],
    });
    return { id: made.id, outputs: { ...inputs, ...made } };
  },
  diff: ({ outputs }, inputs) => changedInputs(requestProperties, only(requestProperties, outputs), inputs),
};

const locallySignedProperties: Properties = {
  ...certificateProperties,
  certRequestPem: text,
  caPrivateKeyPem: pem,
  caCertPem: text,
  earlyRenewalHours: earlyRenewal,
};

const locallySignedCert: ResourceType = {
  properties: locallySignedProperties,
  plan: (inputs, state) => planned(signed(inputs), state, [...certificateOutputs, "caKeyAlgorithm"]),
  create: async (inputs) => {
    const { keyAlgorithm: caKeyAlgorithm, ...made } = await issue({
      ...contentOf(inputs),
      request: String(inputs.certRequestPem),
      key: String(inputs.caPrivateKeyPem),
      authority: String(inputs.caCertPem),
    });
    return { id: made.id, outputs: { ...signed(inputs), ...made, caKeyAlgorithm } };
  },
  diff: (state, inputs) => changed(locallySignedProperties, state, inputs),
  update: ({ outputs }, inputs) =>
    Promise.resolve({ ...outputs, ...withDefaults(locallySignedProperties, inputs) }),
  read: refreshed,
};

function signed(inputs: Values): Values {
  return { ...withDefaults(locallySignedProperties, inputs), isCaCertificate: false, readyForRenewal: false };
}

function contentOf(inputs: Values) {
  const start = new Date();
  const hours = Number(inputs.validityPeriodHours);
  const validity: Validity = { start, end: new Date(start.getTime() + hours * HOUR_MS) };
  return {
    validity,
    uses: inputs.allowedUses as string[],
    isAuthority: inputs.isCaCertificate === true,
    subjectKeyId: inputs.setSubjectKeyId === true,
  };
}

/** The outputs of a certificate that is there already stay, as only what is no part of it can change. */
function planned(values: Values, state: State | undefined, made: readonly string[]): Values {
  return state ? { ...state.outputs, ...values } : { ...values, ...unknown(made) };
}

/** A certificate whose renewal is due takes another. */
function changed(properties: Properties, { outputs }: State, inputs: Values): Change {
  const news = withDefaults(properties, inputs);
  const { diffs, replaces } = changedInputs(properties, only(properties, outputs), news);
  if (!isDue({ ...outputs, earlyRenewalHours: news.earlyRenewalHours })) return { diffs, replaces };
  return { diffs: [...diffs, "readyForRenewal"], replaces: [...replaces, "readyForRenewal"] };
}

function refreshed(state: State): Promise<State> {
  return Promise.resolve({ ...state, outputs: { ...state.outputs, readyForRenewal: isDue(state.outputs) } });
}

function isDue({ validityEndTime, earlyRenewalHours }: Values): boolean {
  const end = Date.parse(String(validityEndTime));
  if (Number.isNaN(end))
    throw new StandInError(`the certificate's recorded end is no time: ${String(validityEndTime)}`);
  return end - Number(earlyRenewalHours ?? 0) * HOUR_MS <= Date.now();
}

function only(properties: Properties, values: Values): Values {
  return Object.fromEntries(Object.keys(properties).map((key) => [key, values[key]]));
}

function unknown(keys: readonly string[]): Values {
  return Object.fromEntries(keys.map((key) => [key, UNKNOWN]));
}

/** In place of the plugin `tls`: keys, and certificates of an authority of one's own. */
export const tls: StandIn = {
  name: "tls",
  settings: {},
  types: {
    "tls:index/privateKey:PrivateKey": privateKey,
    "tls:index/selfSignedCert:SelfSignedCert": selfSignedCert,
    "tls:index/certRequest:CertRequest": certRequest,
    "tls:index/locallySignedCert:LocallySignedCert": locallySignedCert,
  },
};
