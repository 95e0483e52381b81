import { expect } from "vitest";
import type { Both } from "./both";
import { cases, put } from "./cases";
import { dockerCases } from "./dockerCases";
import type { Plugin, Wire } from "./plugin";

/** Inputs of a case that are right but for one property. */
export interface Wrong {
  /** The case, the property's path and, after a comma, what is wrong. */
  readonly title: string;
  readonly type: string;
  readonly property: string;
  readonly inputs: (published: Plugin) => Promise<Wire>;
  /** Whether the published plugin takes them, so that the stand-in alone refuses them. */
  readonly isTaken: boolean;
}

/** By the title of a case: by a property's path and, after a comma, what is wrong with it: a value. */
type Table = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** What is no property anywhere. */
const colour = "red";

const labels = {
  "labels, a text": "none",
  "labels.label, missing": undefined,
  "labels.value, a list": ["one"],
  "labels.colour": colour,
};

const content = {
  "data, missing": undefined,
  "data, no base64": "hush!",
  "data, a list": ["eA=="],
  ...labels,
  colour,
};

const pace = (key: string): Record<string, unknown> => ({
  [`${key}.parallelism, too small`]: -1,
  [`${key}.parallelism, a list`]: [1],
  [`${key}.delay, no duration`]: "soon",
  [`${key}.delay, too small`]: "-1s",
  [`${key}.failureAction, another one`]: "never",
  [`${key}.monitor, no duration`]: "soon",
  [`${key}.maxFailureRatio, too large`]: "2.0",
  [`${key}.maxFailureRatio, no number`]: "many",
  [`${key}.order, another one`]: "at-once",
  [`${key}.colour`]: colour,
});

const inContainer: Readonly<Record<string, unknown>> = {
  "image, missing": undefined,
  "image, a list": ["registry"],
  "env, a text": "HOME=/tmp",
  "user, a list": ["haproxy"],
  "labels.label, missing": undefined,
  "sysctl, a text": "none",
  "readOnly, a list": [true],
  "init, a list": [true],
  "stopGracePeriod, no duration": "soon",
  "healthcheck, a text": "none",
  "healthcheck.interval, no duration": "soon",
  "healthcheck.timeout, no duration": "soon",
  "healthcheck.startPeriod, no duration": "soon",
  "healthcheck.retries, too small": -1,
  "configs.configId, missing": undefined,
  "configs.fileName, missing": undefined,
  "configs.fileMode, too small": -1,
  "secrets.secretId, missing": undefined,
  "secrets.fileName, missing": undefined,
  "secrets.fileMode, too small": -1,
  "mounts, a text": "/data",
  "mounts.type, missing": undefined,
  "mounts.type, another one": "disk",
  "mounts.target, missing": undefined,
  colour,
};

const refused: Table = {
  "a password": {
    "length, missing": undefined,
    "length, a text": "many",
    "length, too small": 0,
    "special, a text": "no",
  },
  "a random id": { "byteLength, missing": undefined, "byteLength, a text": "many" },
  "a command": { "create, a number": 5, "stdin, a flag": true, "logging, a list": ["none"], colour },
  "an Ed25519 key": {
    "algorithm, missing": undefined,
    "algorithm, another one": "DSA",
    "algorithm, a list": ["ED25519"],
  },
  "an ECDSA key": { "ecdsaCurve, another one": "P255", "ecdsaCurve, a list": ["P256"] },
  "an authority's certificate": {
    "privateKeyPem, missing": undefined,
    "privateKeyPem, none": "no key",
    "allowedUses, missing": undefined,
    "allowedUses, a text": "cert_signing",
    "allowedUses, another one": ["lock_picking"],
    "validityPeriodHours, missing": undefined,
    "validityPeriodHours, a text": "many",
    "validityPeriodHours, too small": -1,
    "setSubjectKeyId, a text": "yes",
    "isCaCertificate, a number": 1,
    "subject, a text": "The authority",
    "subject.commonName, a list": ["The authority"],
  },
  "a certificate request": {
    "privateKeyPem, missing": undefined,
    "privateKeyPem, none": "no key",
    "dnsNames, a text": "localhost",
    "ipAddresses, a text": "127.0.0.1",
    "ipAddresses, none": ["nowhere"],
    "subject, a text": "leaf",
  },
  "an authority's leaf": {
    "certRequestPem, missing": undefined,
    "certRequestPem, none": "no request",
    "caPrivateKeyPem, missing": undefined,
    "caPrivateKeyPem, none": "no key",
    "caCertPem, missing": undefined,
    "caCertPem, none": "no certificate",
    "earlyRenewalHours, a text": "many",
    "earlyRenewalHours, too small": -1,
  },
  "a network": {
    "driver, a list": ["overlay"],
    "ipamConfigs, a text": "10.20.0.0/24",
    "ipamConfigs.subnet, a list": ["10.20.0.0/24"],
    "ipamConfigs.auxAddress, a text": "10.20.0.9",
    "ipamConfigs.colour": colour,
    "options, a text": "encrypted",
    ...labels,
    colour,
  },
  "a secret": content,
  "a config": content,
  "a service of every property": {
    "name, a list": ["registry"],
    "mode.global, a list": [true],
    "mode.replicated.replicas, too small": -1,
    "mode.replicated.replicas, a list": [1],
    "endpointSpec.mode, another one": "none",
    "endpointSpec.ports, a text": "443",
    "endpointSpec.ports.publishedPort, a list": [443],
    "endpointSpec.ports.targetPort, missing": undefined,
    "endpointSpec.ports.protocol, another one": "icmp",
    "endpointSpec.ports.publishMode, another one": "none",
    ...pace("updateConfig"),
    ...pace("rollbackConfig"),
    "rollbackConfig.failureAction, that of an update": "rollback",
    "taskSpec, missing": undefined,
    "taskSpec.colour": colour,
    "taskSpec.containerSpec, missing": undefined,
    ...Object.fromEntries(
      Object.entries(inContainer).map(([path, value]) => [`taskSpec.containerSpec.${path}`, value]),
    ),
    "taskSpec.networksAdvanceds, a text": "services",
    "taskSpec.restartPolicy.condition, another one": "never",
    "taskSpec.restartPolicy.delay, no duration": "soon",
    "taskSpec.restartPolicy.window, no duration": "soon",
    ...labels,
    colour,
  },
};

/** What the program has no use for, and a published plugin takes; `random` and `tls` take what they do not know. */
const taken: Table = {
  "a password": { colour, "minUpper, which only the published one has": 1 },
  "a random id": { colour },
  "a command": { "logging, another one": "stdout", "delete, which only the published one has": "true" },
  "an Ed25519 key": { "algorithm, another one": "RSA", colour },
  "an ECDSA key": { "ecdsaCurve, another one": "P384" },
  "an authority's certificate": { "allowedUses, another one": ["code_signing"], "subject.colour": colour },
  "a certificate request": { colour },
  "an authority's leaf": { colour },
  "a network": {
    "name, missing": undefined,
    "driver, another one": "bridge",
    "attachable, which only the published one has": true,
  },
  "a service of every property": {
    "name, missing": undefined,
    "updateConfig, missing": undefined,
    "endpointSpec.mode, another one": "vip",
    "endpointSpec.ports.publishedPort, a text": "443",
    "endpointSpec.ports.protocol, another one": "udp",
    "endpointSpec.ports.publishMode, another one": "ingress",
    "taskSpec.restartPolicy.condition, another one": "on-failure",
    "taskSpec.forceUpdate, which only the published one has": 1,
    "taskSpec.containerSpec.mounts.type, another one": "volume",
    "taskSpec.containerSpec.dir, which only the published one has": "/tmp",
    "taskSpec.containerSpec.healthcheck.tests, missing": undefined,
    "taskSpec.containerSpec.commands, a text": "serve",
    "taskSpec.containerSpec.args, a text": "serve",
    "taskSpec.containerSpec.capDrops, a text": "ALL",
    "taskSpec.placement.constraints, a text": "node.role==worker",
  },
};

function rows(table: Table, isTaken: boolean): Wrong[] {
  return Object.entries(table).flatMap(([title, values]) => {
    const one = [...cases, ...dockerCases].find((other) => other.title === title);
    if (!one) throw new Error(`there is no case ${title}`);
    return Object.entries(values).map(([path, value]) => ({
      title: `${title}: ${path}`,
      type: one.type,
      property: path.replace(/,.*/, ""),
      inputs: async (published: Plugin) => put(await one.inputs(published), path, value),
      isTaken,
    }));
  });
}

const all: readonly Wrong[] = [...rows(refused, false), ...rows(taken, true)];
const isOfDocker = ({ type }: Wrong): boolean => type.startsWith("docker:");

export const wrongInputs = all.filter((one) => !isOfDocker(one));
export const wrongDockerInputs = all.filter(isOfDocker);

/** What a plugin has against inputs where it checks them, or else where it makes something of them. */
async function objection(plugin: Plugin, { type, isTaken }: Wrong, inputs: Wire): Promise<string> {
  try {
    const checked = await plugin.check(type, inputs);
    const found = checked.failures.map(({ property, reason }) => `${property}: ${reason}`);
    if (found.length === 0 && !isTaken) await plugin.create(type, checked.inputs);
    return found.join("\n");
  } catch (error) {
    return (error as Error).message;
  }
}

/** How an objection names a property: by its path, or, of `random` and `tls`, in words: `is_ca_certificate`. */
function nameOf({ type, property }: Wrong): RegExp {
  if (!/^(random|tls):/.test(type)) return pathOf(property);
  const last = property.split(".").at(-1) ?? "";
  // "CA certificate PEM" is `caCertPem`, and one "IP address" of the `ipAddresses`.
  const words = last.replace(/e?s$/, "").replace(/[A-Z]/g, "\\w*[ _]?$&");
  return new RegExp(`\\b${words}`, "i");
}

const pathOf = (property: string): RegExp => new RegExp(`\\b${property.replaceAll(".", "\\.")}\\b`);

/** The published plugin of Docker names the list that a part stands in, and no place in it. */
function namedByPublished(wrong: Wrong): RegExp {
  const { type, property } = wrong;
  const parent = property.split(".").slice(0, -1).join(".");
  return type.startsWith("docker:") && parent !== "" ? pathOf(parent) : nameOf(wrong);
}

/** Both refuse, and name the property; or the stand-in alone, where the published one takes what is wrong here. */
export async function expectRefused({ published, standIn }: Both, wrong: Wrong): Promise<void> {
  const inputs = await wrong.inputs(published);
  const said = async (plugin: Plugin) => (await objection(plugin, wrong, inputs)).replace(/\[\d+\]/g, "");
  const [ofPublished, ofStandIn] = [await said(published), await said(standIn)];
  expect(ofStandIn).toMatch(nameOf(wrong));
  if (wrong.isTaken) expect(ofPublished).toBe("");
  else expect(ofPublished).toMatch(namedByPublished(wrong));
}
