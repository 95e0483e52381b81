/** The rows of the table that need Docker. */
import { once, type Case } from "./cases";
import { secretOf, type Plugin, type Wire } from "./plugin";

const networkType = "docker:index/network:Network";
const secretType = "docker:index/secret:Secret";
const serviceType = "docker:index/service:Service";

const labels = [{ label: "moorage.stack", value: "organization/moorage/dev" }];
const base64 = (text: string): string => Buffer.from(text).toString("base64");

const networkOf = (name: string, subnet: number): Wire => ({
  name,
  driver: "overlay",
  ipamConfigs: [{ subnet: `10.${subnet}.0.0/24`, gateway: `10.${subnet}.0.1`, auxAddress: {} }],
  labels,
  options: { "com.docker.network.driver.overlay.vxlanid_list": `80${subnet}` },
});

/** What a service has of a secret and a network. @param name differs from one set of them to another */
async function references(plugin: Plugin, name: string, subnet: number) {
  const secret = await once(plugin, `${name}-secret`, secretType, { data: secretOf(base64(name)), labels });
  const { id } = await once(plugin, `${name}-network`, networkType, networkOf(name, subnet));
  const file = { fileMode: 0o444, fileUid: "65532", fileGid: "65532" };
  return {
    secrets: [{ ...file, secretId: secret.id, secretName: secret.name, fileName: "/run/secrets/key" }],
    networksAdvanceds: [{ id }],
  };
}

/** What another service refers to. */
const another = (key: "secrets" | "networksAdvanceds") => async (plugin: Plugin) =>
  (await references(plugin, "another", 23))[key];

const pace = {
  parallelism: 1,
  delay: "2s",
  failureAction: "rollback",
  monitor: "10s",
  maxFailureRatio: "0.0",
  order: "stop-first",
};
const port = { publishedPort: 443, targetPort: 8443, protocol: "tcp", publishMode: "host" };
const healthcheck = { tests: ["CMD", "true"], interval: "5s", timeout: "3s", retries: 3, startPeriod: "10s" };

const bind = { type: "bind", source: "/var/lib/data", target: "/data", readOnly: false };
const tmpfs = (mebibytes: number) => ({
  type: "tmpfs",
  target: "/tmp",
  tmpfsOptions: { sizeBytes: mebibytes * 1024 ** 2 },
});

async function service(plugin: Plugin): Promise<Wire> {
  const { networksAdvanceds, secrets } = await references(plugin, "own", 21);
  return {
    name: "of-every-property",
    labels,
    mode: { replicated: { replicas: 1 } },
    endpointSpec: { mode: "dnsrr", ports: [port] },
    updateConfig: pace,
    rollbackConfig: { ...pace, failureAction: "pause" },
    taskSpec: {
      containerSpec: {
        image: `sha256:${"a".repeat(64)}`,
        hostname: "registry",
        commands: ["/bin/registry"],
        args: ["serve", "/etc/registry.yml"],
        env: { HOME: "/tmp", WORD: "a=b" },
        user: "haproxy",
        labels,
        sysctl: { "net.ipv4.ip_unprivileged_port_start": "0" },
        readOnly: true,
        init: true,
        capDrops: ["ALL"],
        stopGracePeriod: "30s",
        healthcheck,
        secrets,
        mounts: [bind, tmpfs(16)],
      },
      networksAdvanceds,
      placement: { constraints: ["node.labels.moorage.node==coreos1"] },
      restartPolicy: { condition: "any", delay: "2s", window: "0s" },
      resources: { limits: { memoryBytes: 134217728 } },
    },
  };
}

/** A service with only what each of the program's services has. */
async function plainService(plugin: Plugin): Promise<Wire> {
  const { taskSpec, ...full } = await service(plugin);
  const { image, readOnly, init, capDrops, stopGracePeriod } = (taskSpec as { containerSpec: Wire })
    .containerSpec;
  const containerSpec = { image, labels, readOnly, init, capDrops, stopGracePeriod };
  return {
    ...full,
    name: "plain",
    mode: { global: true },
    endpointSpec: { mode: "dnsrr", ports: [] },
    taskSpec: {
      ...(taskSpec as Wire),
      containerSpec: { ...containerSpec, secrets: [], mounts: [] },
    },
  };
}

const below = (path: string, values: Wire): Wire =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [`${path}.${key}`, value]));

const changedLabels = { "labels.label": "another", "labels.value": "another" };
const changedPace = {
  parallelism: 2,
  delay: "3s",
  failureAction: "continue",
  monitor: "1m30s",
  maxFailureRatio: "0.5",
  order: "start-first",
};
const changedFile = { fileName: "/another", fileMode: 0o400, fileUid: "0", fileGid: "0" };

const changedContainer: Wire = {
  // Docker's client shortens names that begin with docker.io.
  image: `registry@sha256:${"b".repeat(64)}`,
  hostname: "another",
  commands: undefined,
  args: ["serve"],
  env: { HOME: "/tmp", WORD: "c" },
  user: undefined,
  ...changedLabels,
  sysctl: { "net.ipv4.ip_unprivileged_port_start": "1" },
  readOnly: false,
  init: false,
  capDrops: [],
  stopGracePeriod: "1m30s",
  "healthcheck, none": undefined,
  ...below("healthcheck", {
    tests: ["CMD", "false"],
    interval: "6s",
    timeout: "4s",
    retries: 4,
    startPeriod: "11s",
  }),
  "secrets, another": another("secrets"),
  "secrets, none": [],
  ...below("secrets", { secretId: "another", secretName: "another", ...changedFile }),
  "mounts, none": [],
  ...below("mounts", { type: "tmpfs", source: "/another", target: "/another", readOnly: true }),
  // Of the first mount, which is none in memory.
  "mounts.tmpfsOptions.sizeBytes": 33554432,
  "mounts, of another size": [bind, tmpfs(32)],
};

export const dockerCases: readonly Case[] = [
  {
    title: "a network",
    type: networkType,
    random: ["id"],
    inputs: () => networkOf("services", 20),
    changes: {
      name: "another",
      "ipamConfigs.subnet": "10.22.0.0/24",
      "ipamConfigs.gateway": "10.20.0.2",
      "ipamConfigs.auxAddress": { router: "10.20.0.9" },
      ...changedLabels,
      options: { "com.docker.network.driver.overlay.vxlanid_list": "8020", encrypted: "" },
    },
  },
  {
    title: "a secret",
    type: secretType,
    random: ["id", "name"],
    inputs: () => ({ data: secretOf(base64("word")), labels }),
    changes: { data: secretOf(base64("another")), ...changedLabels },
    unknown: ["data"],
  },
  {
    title: "a plain service",
    type: serviceType,
    random: ["id"],
    inputs: plainService,
    changes: {
      "mode.global": false,
      "mode, replicated": { replicated: { replicas: 1 } },
      ...below("taskSpec.containerSpec", {
        "healthcheck, added": healthcheck,
        "hostname, added": "another",
        "user, added": "another",
        "commands, added": ["/bin/another"],
        "args, added": ["another"],
      }),
    },
  },
  {
    title: "a service of every property",
    type: serviceType,
    random: ["id"],
    inputs: service,
    changes: {
      name: "another",
      ...changedLabels,
      "mode, global": { global: true },
      "mode.replicated.replicas": 2,
      "endpointSpec.ports, none": [],
      ...below("endpointSpec.ports", { publishedPort: 444, targetPort: 8444 }),
      ...below("updateConfig", changedPace),
      ...below("rollbackConfig", changedPace),
      ...below("taskSpec.containerSpec", changedContainer),
      "taskSpec.networksAdvanceds, another": another("networksAdvanceds"),
      "taskSpec.networksAdvanceds.id": "another",
      "taskSpec.placement.constraints": ["node.role==worker"],
      ...below("taskSpec.restartPolicy", { delay: "3s", window: "5s" }),
      "taskSpec.resources.limits.memoryBytes": 268435456,
    },
    unknown: [
      ...["secrets.secretId", "secrets.secretName"].map((path) => `taskSpec.containerSpec.${path}`),
      "taskSpec.networksAdvanceds.id",
    ],
  },
];
