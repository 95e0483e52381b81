import { without } from "../../lab/plugins/properties";
import { contentByHand, networkByHand, plainServiceByHand, serviceByHand, type Others } from "./byHand";
import { put, type Case } from "./cases";
import { secretOf, type Plugin, type Wire } from "./plugin";

const networkType = "docker:index/network:Network";
const secretType = "docker:index/secret:Secret";
const configType = "docker:index/serviceConfig:ServiceConfig";
const serviceType = "docker:index/service:Service";

const labels = [{ label: "moorage.stack", value: "organization/moorage/dev" }];
const otherLabels = [{ label: "moorage.stack", value: "another" }];
const base64 = (text: string): string => Buffer.from(text).toString("base64");

const ipam = { subnet: "10.20.0.0/24", gateway: "10.20.0.1", auxAddress: {} };
const vxlan = { "com.docker.network.driver.overlay.vxlanid_list": "8020" };
const network = { name: "services", driver: "overlay", ipamConfigs: [ipam], labels, options: vxlan };

/** What a service refers to, made once by the published plugin. */
const made = new Map<string, Promise<{ readonly id: string; readonly name: string }>>();

function once(plugin: Plugin, name: string, type: string, inputs: Wire) {
  const make = async () => {
    const checked = await plugin.check(type, inputs, {}, name);
    const { id, outputs } = await plugin.create(type, checked.inputs, false, name);
    return { id, name: String(outputs.name) };
  };
  const found = made.get(name) ?? make();
  made.set(name, found);
  return found;
}

const change = {
  parallelism: 1,
  delay: "2s",
  failureAction: "rollback",
  monitor: "10s",
  maxFailureRatio: "0.0",
  order: "stop-first",
};

const port = { publishedPort: 443, targetPort: 8443, protocol: "tcp", publishMode: "host" };
const healthcheck = { tests: ["CMD", "true"], interval: "5s", timeout: "3s", retries: 3, startPeriod: "10s" };

const netOf = (name: string, subnet: number): Wire => ({
  ...network,
  name,
  ipamConfigs: [{ subnet: `10.${subnet}.0.0/24`, gateway: `10.${subnet}.0.1` }],
  options: { "com.docker.network.driver.overlay.vxlanid_list": `80${subnet}` },
});

async function others(plugin: Plugin): Promise<Others> {
  return {
    config: await once(plugin, "other-config", configType, { data: base64("other"), labels }),
    secret: await once(plugin, "other-secret", secretType, { data: secretOf(base64("other")), labels }),
    network: await once(plugin, "other-net", networkType, netOf("of-another-service", 23)),
  };
}

async function service(plugin: Plugin): Promise<Wire> {
  const config = await once(plugin, "config", configType, { data: base64("config"), labels });
  const secret = await once(plugin, "secret", secretType, { data: secretOf(base64("secret")), labels });
  const { id } = await once(plugin, "net", networkType, netOf("of-the-service", 21));
  const file = { fileMode: 0o444, fileUid: "65532", fileGid: "65532" };
  return {
    name: "of-every-property",
    labels,
    mode: { replicated: { replicas: 1 } },
    endpointSpec: { mode: "dnsrr", ports: [port] },
    updateConfig: change,
    rollbackConfig: { ...change, failureAction: "pause" },
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
        configs: [{ ...file, configId: config.id, configName: config.name, fileName: "/etc/registry.yml" }],
        secrets: [{ ...file, secretId: secret.id, secretName: secret.name, fileName: "/run/secrets/key" }],
        mounts: [
          { type: "bind", source: "/var/lib/data", target: "/data" },
          { type: "tmpfs", target: "/tmp" },
        ],
      },
      networksAdvanceds: [{ id }],
      placement: { constraints: ["node.labels.moorage.node==coreos1"] },
      restartPolicy: { condition: "any", delay: "2s", window: "0s" },
    },
  };
}

/** A service as the program has it where a component asks for nothing special. */
async function plainService(plugin: Plugin): Promise<Wire> {
  const inputs = structuredClone(await service(plugin)) as {
    taskSpec: { containerSpec: Wire };
  } & Wire;
  const { image, labels: own, readOnly, init, capDrops, stopGracePeriod } = inputs.taskSpec.containerSpec;
  inputs.taskSpec.containerSpec = { image, labels: own, readOnly, init, capDrops, stopGracePeriod };
  Object.assign(inputs.taskSpec.containerSpec, { configs: [], secrets: [], mounts: [] });
  return { ...inputs, name: "plain", mode: { global: true }, endpointSpec: { mode: "dnsrr", ports: [] } };
}

/** A change for each path, of what `from` gives. */
function changesAt(
  from: (plugin: Plugin) => Wire | Promise<Wire>,
  values: Readonly<Record<string, unknown>>,
) {
  const entries = Object.entries(values).map(
    ([path, value]) => [path, async (plugin: Plugin) => put(await from(plugin), path, value)] as const,
  );
  return Object.fromEntries(entries);
}

const inContainer = (values: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(values).map(([path, value]) => [`taskSpec.containerSpec.${path}`, value]),
  );

export const dockerCases: readonly Case[] = [
  {
    title: "a network",
    type: networkType,
    own: ["id"],
    inputs: () => network,
    byHand: networkByHand,
    changes: changesAt(() => network, {
      name: "another",
      "ipamConfigs.subnet": "10.22.0.0/24",
      "ipamConfigs.gateway": "10.20.0.2",
      "ipamConfigs.auxAddress": { router: "10.20.0.9" },
      "labels.label": "another",
      "labels.value": "another",
      "labels, one more": [...labels, ...otherLabels],
      options: { ...vxlan, encrypted: "" },
    }),
  },
  {
    title: "a secret",
    type: secretType,
    own: ["id", "name"],
    inputs: () => ({ data: secretOf(base64("word")), labels }),
    byHand: contentByHand({ unseen: true }),
    changes: changesAt(() => ({ data: secretOf(base64("word")), labels }), {
      data: secretOf(base64("another")),
      "labels.label": "another",
      "labels.value": "another",
    }),
  },
  {
    title: "a config",
    type: configType,
    own: ["id", "name"],
    inputs: () => ({ data: base64("text"), labels }),
    byHand: contentByHand({ unseen: false }),
    changes: changesAt(() => ({ data: base64("text"), labels }), {
      data: base64("another"),
      "labels.label": "another",
      "labels.value": "another",
    }),
  },
  {
    title: "a plain service",
    type: serviceType,
    own: ["id"],
    inputs: plainService,
    update: async (plugin) => ({ ...(await plainService(plugin)), labels: otherLabels }),
    byHand: plainServiceByHand(others),
    changes: changesAt(plainService, {
      "taskSpec.containerSpec.healthcheck, added": healthcheck,
      "taskSpec.containerSpec.hostname, added": "another",
      "taskSpec.containerSpec.user, added": "another",
      "taskSpec.containerSpec.commands, added": ["/bin/another"],
      "taskSpec.containerSpec.args, added": ["another"],
      "mode, replicated": { replicated: { replicas: 1 } },
      "mode.global": false,
    }),
  },
  {
    title: "a service of every property",
    type: serviceType,
    own: ["id"],
    inputs: service,
    update: async (plugin) => {
      const { containerSpec: before } = (await service(plugin)).taskSpec as { containerSpec: Wire };
      const container = without(before, "healthcheck");
      const containerSpec = {
        ...container,
        args: ["serve"],
        env: { WORD: "another" },
        mounts: [],
        secrets: [],
      };
      return put(await service(plugin), "taskSpec.containerSpec", containerSpec);
    },
    byHand: serviceByHand(others),
    changes: changesAt(service, {
      name: "another",
      "labels.label": "another",
      "labels.value": "another",
      "mode, global": { global: true },
      "mode.replicated.replicas": 2,
      "endpointSpec.ports, none": [],
      "endpointSpec.ports.publishedPort": 444,
      "endpointSpec.ports.targetPort": 8444,
      ...Object.fromEntries(
        ["updateConfig", "rollbackConfig"].flatMap((key) => [
          [`${key}.parallelism`, 2],
          [`${key}.delay`, "3s"],
          [`${key}.failureAction`, "continue"],
          [`${key}.monitor`, "1m"],
          [`${key}.maxFailureRatio`, "0.5"],
          [`${key}.order`, "start-first"],
        ]),
      ),
      ...inContainer({
        image: `docker.io/library/registry@sha256:${"b".repeat(64)}`,
        hostname: "another",
        commands: undefined,
        args: ["serve"],
        env: { HOME: "/tmp", WORD: "c" },
        user: undefined,
        "labels.label": "another",
        "labels.value": "another",
        sysctl: { "net.ipv4.ip_unprivileged_port_start": "1" },
        readOnly: false,
        init: false,
        capDrops: [],
        stopGracePeriod: "1m30s",
        "healthcheck, taken away": undefined,
        "healthcheck.tests": ["CMD", "false"],
        "healthcheck.interval": "6s",
        "healthcheck.timeout": "4s",
        "healthcheck.retries": 4,
        "healthcheck.startPeriod": "11s",
        "configs, none": [],
        "configs.configId": "another",
        "configs.configName": "another",
        "configs.fileName": "/another",
        "configs.fileMode": 0o400,
        "configs.fileUid": "0",
        "configs.fileGid": "0",
        "secrets, none": [],
        "secrets.secretId": "another",
        "secrets.secretName": "another",
        "secrets.fileName": "/another",
        "secrets.fileMode": 0o400,
        "secrets.fileUid": "0",
        "secrets.fileGid": "0",
        "mounts, none": [],
        "mounts.type": "tmpfs",
        "mounts.source": "/another",
        "mounts.target": "/another",
      }),
      "taskSpec.networksAdvanceds.id": "another",
      "taskSpec.placement.constraints": ["node.role==worker"],
      "taskSpec.restartPolicy.delay": "3s",
      "taskSpec.restartPolicy.window": "5s",
    }),
  },
];
