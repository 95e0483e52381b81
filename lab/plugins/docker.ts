import { randomBytes } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import { LabError, waitFor } from "../exec";
import { followed, kept } from "./changes";
import { DockerApi } from "./dockerApi";
import { added, fromApi, labelCodec, labels, outputsOf } from "./dockerService";
import { serviceProperties, specOf, toApi } from "./dockerService";
import { merged, type Properties, type Values } from "./properties";
import type { Context, ResourceType, StandIn, State } from "./standIn";

/** How long the Swarm may take to give a network its addresses, and to let go of one whose services are gone. */
const RELEASE_MS = 30_000;
const RETRY_MS = 200;

const apis = new WeakMap<Values, DockerApi>();

/** One for each way to Docker, so that connections are shared. */
function apiOf({ settings }: Context): DockerApi {
  const api = apis.get(settings) ?? new DockerApi(settings);
  apis.set(settings, api);
  return api;
}

/** What there is to resources in one folder of Docker's API. @param patienceMs for one that is still used */
function inDocker(
  folder: string,
  properties: Properties,
  outputsOf: (found: Values, state: State) => Values,
  patienceMs = 0,
) {
  return {
    properties,
    /** Inputs follow what was changed by hand. */
    read: async (state: State, context: Context) => {
      const found = await apiOf(context).ask("GET", `/${folder}/${state.id}`);
      if (!found) return undefined;
      const outputs = outputsOf(found, state);
      return { ...state, outputs, inputs: followed(properties, state.inputs, state.outputs, outputs) };
    },
    delete: async (id: string, context: Context) => {
      for (const end = Date.now() + patienceMs; ; await setTimeout(RETRY_MS)) {
        try {
          return void (await apiOf(context).ask("DELETE", `/${folder}/${id}`));
        } catch (error) {
          if (!/in use|active endpoints/.test(String(error)) || Date.now() > end) throw error;
        }
      }
    },
  };
}

const text = { kind: "string", replaces: true } as const;
const map = { kind: "map", optional: true, replaces: true } as const;
const optional = { ...text, optional: true } as const;
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==|[A-Za-z0-9+/]=))?$/;
const fixedLabels = { ...labels, replaces: true } as const;

const networkProperties: Properties = {
  name: text,
  driver: { ...text, oneOf: ["overlay"] },
  ipamConfigs: {
    kind: { subnet: optional, gateway: optional, auxAddress: { ...map, api: "AuxiliaryAddresses" } },
    many: "set",
    optional: true,
    replaces: true,
    computed: true,
    api: "IPAM.Config",
  },
  labels: fixedLabels,
  options: { ...map, computed: true },
};

const network: ResourceType = {
  ...inDocker("networks", networkProperties, networkOutputs, RELEASE_MS),
  deleteBeforeReplace: true,
  complete: (inputs) => ({ ...inputs, ipamDriver: "default", __defaults: ["ipamDriver"] }),
  made: ["id", "internal", "scope"],
  create: async (inputs, context) => {
    const api = apiOf(context);
    const wanted = merged({ IPAM: { Driver: "default" } }, toApi(networkProperties, inputs));
    const made = await api.ask("POST", "/networks/create", wanted);
    // A network of the Swarm has no driver and addresses until the Swarm has come to it.
    const look = () => api.ask("GET", `/networks/${String(made?.Id)}`);
    const found = await waitFor(() => look().then((one) => (one?.Driver ? one : undefined)), RELEASE_MS);
    if (!found) throw new LabError(`the Swarm has not taken up network ${String(made?.Id)}`);
    return networkOutputs(found);
  },
};

function networkOutputs(found: Values): Values {
  const { Id: id, Scope: scope, IPAM } = found as { IPAM?: Values } & Values;
  const recorded = { id, scope, ipamDriver: IPAM?.Driver, __meta: '{"schema_version":"1"}' };
  return { ...fromApi(networkProperties, found), ...recorded };
}

const secretProperties: Properties = { data: { ...text, pattern: base64 }, labels: fixedLabels };

/** All of a secret is fixed, so that another one takes its place under another name. */
const secret: ResourceType = {
  // The published plugin reads no more than the name.
  ...inDocker("secrets", secretProperties, ({ Spec }, { outputs }) => ({
    ...outputs,
    name: (Spec as Values).Name,
  })),
  complete: (inputs, olds, { name }) => ({
    ...inputs,
    name: olds.name ?? `${name}-${randomBytes(4).toString("hex").slice(0, 7)}`,
    __defaults: ["name"],
  }),
  made: ["id"],
  create: async ({ name, labels, data }, context) => {
    const wanted = { Name: name, Labels: labelCodec.to(labels), Data: data };
    return { id: (await apiOf(context).ask("POST", "/secrets/create", wanted))?.ID };
  },
};

const service: ResourceType = {
  ...inDocker("services", serviceProperties, outputsOf),
  deleteBeforeReplace: true,
  complete: (inputs) => merged(added, inputs),
  made: [
    ...["id", "mode.replicated", "taskSpec.resources", "taskSpec.forceUpdate", "taskSpec.runtime"],
    ...["taskSpec.containerSpec.healthcheck", "taskSpec.containerSpec.dnsConfig"],
  ],
  create: async (inputs, context) => {
    const made = await apiOf(context).ask("POST", "/services/create", specOf(inputs));
    return inspect(String(made?.ID), context);
  },
  planUpdate: ({ outputs }, inputs) => kept(serviceProperties, inputs, outputs),
  update: async ({ id, outputs }, inputs, context) => {
    const api = apiOf(context);
    const { Index } = ((await api.ask("GET", `/services/${id}`))?.Version ?? {}) as Values;
    const spec = specOf(kept(serviceProperties, inputs, outputs));
    await api.ask("POST", `/services/${id}/update?version=${String(Index)}`, spec);
    return inspect(id, context);
  },
};

async function inspect(id: string, context: Context): Promise<Values> {
  return outputsOf((await apiOf(context).ask("GET", `/services/${id}`)) ?? { ID: id });
}

/** In place of the plugin `docker`: what a Swarm runs. */
export const standIn: StandIn = {
  settings: { host: text, sshOpts: optional },
  tellsPaths: true,
  types: {
    "docker:index/network:Network": network,
    "docker:index/secret:Secret": secret,
    "docker:index/service:Service": service,
  },
};
