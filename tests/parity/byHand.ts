/** What somebody changes with Docker's own tools, for each property that a Moorage service, config, secret or network has. */
import type { ByHand } from "./cases";
import type { Plugin, Wire } from "./plugin";

/** What a service is changed to refer to. */
export interface Others {
  readonly config: { readonly id: string; readonly name: string };
  readonly secret: { readonly id: string; readonly name: string };
  readonly network: { readonly id: string };
}

/** Docker has no way to change a network. */
export const networkByHand: ByHand = {
  changes: {},
  refused: {
    "(name|driver|ipamConfigs.subnet|ipamConfigs.gateway|ipamConfigs.auxAddress|labels.label|labels.value|options)":
      { change: { Labels: { by: "hand" } }, says: /^page not found$/ },
  },
};

/** Of a config or a secret, labels alone can be changed. */
export function contentByHand({ unseen }: { readonly unseen: boolean }): ByHand {
  const changes = constant(ofLabels);
  const refused = { data: { change: { Data: "YW5vdGhlcg==" }, says: /only updates to Labels are allowed/ } };
  return { changes, refused, ...(unseen && { unseen: Object.keys(changes) }) };
}

/** A service that has every property. @param others gives what it does not refer to yet */
export function serviceByHand(others: (plugin: Plugin) => Promise<Others>): ByHand {
  return {
    changes: {
      ...constant({
        ...ofServices,
        ...below("updateConfig", "UpdateConfig", ofPace),
        ...below("rollbackConfig", "RollbackConfig", ofPace),
        ...below("taskSpec.containerSpec", "TaskTemplate.ContainerSpec", ofContainers),
        ...below("taskSpec.containerSpec.configs", "TaskTemplate.ContainerSpec.Configs", ofFiles),
        ...below("taskSpec.containerSpec.secrets", "TaskTemplate.ContainerSpec.Secrets", ofFiles),
        ...below("taskSpec", "TaskTemplate", ofTasks),
      }),
      "taskSpec.networksAdvanceds.id": async (plugin) => ({
        "TaskTemplate.Networks.Target": (await others(plugin)).network.id,
      }),
      "taskSpec.containerSpec.configs.(configId|configName)": async (plugin) => {
        const { id, name } = (await others(plugin)).config;
        const at = "TaskTemplate.ContainerSpec.Configs";
        return { [`${at}.ConfigID`]: id, [`${at}.ConfigName`]: name };
      },
      "taskSpec.containerSpec.secrets.(secretId|secretName)": async (plugin) => {
        const { id, name } = (await others(plugin)).secret;
        const at = "TaskTemplate.ContainerSpec.Secrets";
        return { [`${at}.SecretID`]: id, [`${at}.SecretName`]: name };
      },
    },
    refused: { name: { change: { Name: "another" }, says: /renaming services is not supported/ } },
  };
}

/** A service that has next to nothing. @param others gives what can be added to it */
export function plainServiceByHand(others: (plugin: Plugin) => Promise<Others>): ByHand {
  const file = { Name: "/by-hand", Mode: 0o400, UID: "0", GID: "0" };
  return {
    changes: {
      ...constant(added),
      "taskSpec.containerSpec.configs.(configId|configName), added": async (plugin) => {
        const { id, name } = (await others(plugin)).config;
        return { "TaskTemplate.ContainerSpec.Configs": [{ ConfigID: id, ConfigName: name, File: file }] };
      },
      "taskSpec.containerSpec.secrets.(secretId|secretName), added": async (plugin) => {
        const { id, name } = (await others(plugin)).secret;
        return { "TaskTemplate.ContainerSpec.Secrets": [{ SecretID: id, SecretName: name, File: file }] };
      },
    },
    refused: {
      "mode.global": {
        change: { Mode: { Replicated: { Replicas: 1 } } },
        says: /service mode change is not allowed/,
      },
    },
  };
}

function constant(changes: Readonly<Record<string, Wire>>): ByHand["changes"] {
  return Object.fromEntries(Object.entries(changes).map(([key, change]) => [key, () => change]));
}

/** Values by their places in Docker's API, by the properties that they change; both without what stands before. */
type Table = Readonly<Record<string, Wire>>;

function below(property: string, place: string, table: Table): Record<string, Wire> {
  const placed = (values: Wire): Wire =>
    Object.fromEntries(Object.entries(values).map(([path, value]) => [`${place}.${path}`, value]));
  return Object.fromEntries(
    Object.entries(table).map(([key, values]) => [`${property}.${key}`, placed(values)]),
  );
}

const port = { PublishedPort: 8443, TargetPort: 443, Protocol: "tcp", PublishMode: "host" };
const healthcheck = { Test: ["CMD", "by-hand"], Interval: 7e9, Timeout: 6e9, Retries: 9, StartPeriod: 8e9 };
const noHealthcheck = { Test: ["NONE"], Interval: 0, Timeout: 0, Retries: 0, StartPeriod: 0 };

const ofLabels: Table = {
  "labels.label": { Labels: { another: "organization/moorage/dev" } },
  "labels.value": { Labels: { "moorage.stack": "another" } },
  "labels.(label|value), none": { Labels: {} },
};

const ofServices: Table = {
  ...ofLabels,
  "mode.replicated.replicas": { "Mode.Replicated.Replicas": 3 },
  "mode.replicated.replicas, none": { "Mode.Replicated.Replicas": 0 },
  "endpointSpec.mode": { "EndpointSpec.Mode": "vip" },
  ...below("endpointSpec.ports", "EndpointSpec.Ports", {
    "(publishedPort|targetPort)": { PublishedPort: 444, TargetPort: 8444 },
    protocol: { Protocol: "udp" },
  }),
  "endpointSpec.ports.(publishMode|publishedPort), of another mode": {
    "EndpointSpec.Mode": "vip",
    "EndpointSpec.Ports.PublishMode": "ingress",
    "EndpointSpec.Ports.PublishedPort": 9443,
  },
  "endpointSpec.ports.publishedPort, none": { "EndpointSpec.Ports": [] },
  "endpointSpec.ports.publishedPort, one more": {
    "EndpointSpec.Ports": [{ ...port, PublishedPort: 443, TargetPort: 8443 }, port],
  },
};

const ofPace: Table = {
  "(parallelism|delay|monitor)": { Parallelism: 7, Delay: 3e9, Monitor: 90e9 },
  "(failureAction|order)": { FailureAction: "continue", Order: "start-first" },
  "delay, none": { Delay: 0 },
  maxFailureRatio: { MaxFailureRatio: 0.5 },
  "maxFailureRatio, of more digits": { MaxFailureRatio: 0.6789 },
  "maxFailureRatio, between two": { MaxFailureRatio: 0.25 },
};

const ofContainers: Table = {
  image: { Image: `sha256:${"c".repeat(64)}` },
  "image, of a registry": { Image: `docker.io/library/registry:3@sha256:${"d".repeat(64)}` },
  "(hostname|user)": { Hostname: "by-hand", User: "by-hand" },
  "(hostname|user), none": { Hostname: "", User: "" },
  "(commands|args), longer and shorter": { Command: ["/bin/by-hand", "now"], Args: ["by hand"] },
  "(commands|args), none": { Command: [], Args: [] },
  env: { Env: ["BY=hand", "HOME=/tmp"] },
  sysctl: { Sysctls: { "net.ipv4.ip_unprivileged_port_start": "1024" } },
  "sysctl, one more": {
    Sysctls: { "net.core.somaxconn": "9", "net.ipv4.ip_unprivileged_port_start": "0" },
  },
  "(env|sysctl), none": { Env: [], Sysctls: {} },
  ...ofLabels,
  "(readOnly|init)": { ReadOnly: false, Init: false },
  "(capDrops|stopGracePeriod)": { CapabilityDrop: ["CAP_NET_RAW"], StopGracePeriod: 90e9 },
  "capDrops, none": { CapabilityDrop: [] },
  "healthcheck.tests": { "Healthcheck.Test": ["CMD", "by-hand"] },
  "healthcheck.(interval|timeout|retries|startPeriod)": {
    Healthcheck: { ...healthcheck, Test: ["CMD", "true"] },
  },
  "healthcheck.tests, none": { Healthcheck: noHealthcheck },
  "(configs.configId|secrets.secretId), none": { Configs: [], Secrets: [] },
  "mounts.(type|source), to one in memory": { Mounts: [{ Type: "tmpfs", Target: "/data" }] },
  "mounts.(source|target)": { "Mounts.Source": "/by-hand", "Mounts.Target": "/by-hand" },
  "mounts.target, none": { Mounts: [] },
};

const ofFiles: Table = {
  "(fileName|fileMode)": { "File.Name": "/by-hand", "File.Mode": 0o400 },
  "(fileUid|fileGid)": { "File.UID": "7", "File.GID": "8" },
};

const ofTasks: Table = {
  "networksAdvanceds.id, none": { Networks: [] },
  "placement.constraints": { "Placement.Constraints": ["node.role==worker"] },
  "placement.constraints, none": { "Placement.Constraints": [] },
  "restartPolicy.(condition|delay|window)": {
    RestartPolicy: { Condition: "on-failure", Delay: 4e9, Window: 6e9, MaxAttempts: 0 },
  },
  "restartPolicy.(condition|delay), none": {
    RestartPolicy: { Condition: "none", Delay: 0, Window: 0, MaxAttempts: 0 },
  },
};

/** What is added to a service that has none of it. */
const added: Table = {
  "endpointSpec.ports.publishedPort, added": { "EndpointSpec.Ports": [port] },
  ...below("taskSpec.containerSpec", "TaskTemplate.ContainerSpec", {
    "(hostname|user), added": { Hostname: "by-hand", User: "by-hand" },
    "(commands|args), added": { Command: ["/bin/by-hand"], Args: ["by hand"] },
    "(env|sysctl), added": { Env: ["BY=hand"], Sysctls: { "net.core.somaxconn": "9" } },
    "healthcheck.tests, added": { Healthcheck: healthcheck },
    "healthcheck.tests, turned off": { Healthcheck: noHealthcheck },
    "mounts.target, added": { Mounts: [{ Type: "bind", Source: "/by-hand", Target: "/by-hand" }] },
    // As many inputs as before are recorded then: of a set, those which come first by a hash of the published plugin's.
    "labels.label, one more": {
      Labels: { "moorage.stack": "organization/moorage/dev", "with.hand": "yes" },
    },
  }),
};
