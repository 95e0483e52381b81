/** Stacks that between them give each switch of the configuration each of its values: what a program may come to be. */
import { z } from "zod";
import { subjects, type StackConfig } from "../../config/stack";
import { articleConfig, everythingConfig, publicKeys } from "../golden/everything";
import { rawStack, type RawConfig } from "../support/stacks";
import { rawConfig } from "./parts";

/** A key that takes one of a few values, by its path: `*` is any name, and any item of a list. */
export interface Switch {
  readonly path: string;
  readonly values: readonly unknown[];
}

interface Schema {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
}

/** All of them, from the schemas. */
export function switches(): Switch[] {
  return Object.entries(subjects).flatMap(([subject, schema]) =>
    switchesIn(z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as Schema, subject),
  );
}

function switchesIn(schema: Schema, path: string): Switch[] {
  const { type, properties = {}, additionalProperties: each, items, anyOf = [] } = schema;
  const values = schema.const !== undefined ? [schema.const] : schema.enum;
  return [
    ...(values ? [{ path, values }] : type === "boolean" ? [{ path, values: [true, false] }] : []),
    ...Object.entries(properties).flatMap(([key, inner]) => switchesIn(inner, `${path}.${key}`)),
    ...(typeof each === "object" ? switchesIn(each, `${path}.*`) : []),
    ...(items ? switchesIn(items, `${path}.*`) : []),
    ...anyOf.flatMap((one) => switchesIn(one, path)),
  ];
}

/** What a configuration has at a switch's path, defaults included. */
export function valuesAt(config: StackConfig, path: string): unknown[] {
  return path
    .split(".")
    .reduce<unknown[]>(
      (found, key) =>
        found.flatMap((value) => {
          if (typeof value !== "object" || value === null) return [];
          return key === "*" ? Object.values(value) : [(value as Record<string, unknown>)[key]];
        }),
      [config],
    )
    .filter((value) => value !== undefined);
}

const put = (raw: RawConfig, subject: string, values: object): RawConfig => {
  raw[subject] = { ...raw[subject], ...values };
  return raw;
};

/** Machines, with what is off as a rule. */
const machines = (): RawConfig[] => [
  rawConfig((raw) => put(raw, "os", { format: "ignition" })),
  rawConfig((raw) => {
    const users = { operator: { password: true } };
    put(raw, "os", { distribution: "fedora-coreos", channel: "testing", updateStrategy: "reboot", users });
    put(raw, "swarm", { autolock: true, dockerApi: true });
    put(raw, "network", { mtu: 9000, overlay: { encrypted: true } });
    put(raw, "etcd", { enabled: true, autoCompaction: { mode: "revision", retention: "1000" } });
    put(raw, "registry", { logLevel: "error", previousPasswordMinutes: 0 });
    const alternativeNames = ["other.example.com", "10.9.9.9"];
    put(raw, "edge", { hostname: "registry.example.com", alternativeNames });
  }),
  rawConfig((raw) => {
    put(raw, "os", { format: "cloud-config", channel: "lts", sshAuthorizedKey: publicKeys.usera });
    put(raw, "etcd", { enabled: false });
    put(raw, "storage", { retain: false, healing: { enabled: false } });
    put(raw, "registry", { logLevel: "warn" });
    put(raw, "edge", { protectAuthority: true, port: 8443 });
  }),
];

/** Each distribution, with all that it may be told. */
const distributions = (): RawConfig[] => [
  put(put(everythingConfig("flatcar"), "os", { channel: "alpha", updateStrategy: "etcd-lock" }), "registry", {
    logLevel: "debug",
  }),
  put(everythingConfig("fedora-coreos"), "os", {
    channel: "next",
    units: { "own.service": { content: "[Service]\nExecStart=/bin/true\n", enabled: false } },
  }),
  articleConfig(),
  put(rawStack("metal"), "os", {
    distribution: "coreos",
    containerLinux: { etcd2: { discovery: "https://discovery.domain.com/5d3c1a" } },
  }),
];

/** Hypervisors' guests, and hosts that ran before. */
const others = (): RawConfig[] => {
  const guests = ["virtio", "82540EM", "82545EM"].map((nicType, at) =>
    put(rawStack(at === 0 ? "virtualbox" : "dev"), "hypervisor", {
      nicType,
      keepDataDisks: at === 0,
      network: { dhcp: at === 1 },
    }),
  );
  guests.slice(1).forEach((raw) => put(raw, "os", { channel: "beta" }));
  return [...guests, rawStack("existing")];
};

/** With images that no archive has to be at hand for. */
export function everySwitch(): RawConfig[] {
  const images = rawConfig().images ?? {};
  return [...machines(), ...distributions(), ...others()].map((raw) => ({ ...raw, images }));
}
