import { randomBytes } from "node:crypto";
import { changesOf, followed, kept } from "./changes";
import { DockerApi } from "./dockerApi";
import { fromApi, labelCodec, toApi } from "./dockerFields";
import { labels, outputsOf, serviceProperties, specOf } from "./dockerService";
import type { Mistake, Properties } from "./properties";
import { StandInError, type Context, type ResourceType, type StandIn, type State } from "./standIn";
import { UNKNOWN, type Values } from "./values";

/** How long the Swarm may take to give a network its addresses, and to let go of one whose services are gone. */
const RELEASE_MS = 30_000;
const RETRY_MS = 200;

const apis = new Map<string, DockerApi>();

/** One for each way to Docker, so that connections are shared. */
function apiOf({ settings }: Context): DockerApi {
  const key = JSON.stringify(settings);
  const api = apis.get(key) ?? new DockerApi(settings);
  apis.set(key, api);
  return api;
}

/** A resource as it is found in Docker, with inputs that follow what was changed by hand. */
function foundAs(properties: Properties, state: State, outputs: Values): State {
  return { id: state.id, outputs, inputs: followed(properties, state.inputs, state.outputs, outputs) };
}

const networkProperties: Properties = {
  name: { kind: "string", required: true, replaces: true, api: "Name" },
  driver: { kind: "string", required: true, replaces: true, oneOf: ["overlay"], api: "Driver" },
  ipamConfigs: {
    kind: {
      list: {
        object: {
          subnet: { kind: "string", replaces: true, api: "Subnet" },
          gateway: { kind: "string", replaces: true, api: "Gateway" },
          auxAddress: { kind: { map: "string" }, replaces: true, api: "AuxiliaryAddresses" },
        },
      },
    },
    set: true,
    computed: true,
    api: "IPAM.Config",
  },
  labels: labels(true),
  options: { kind: { map: "string" }, replaces: true, computed: true, api: "Options" },
};

const network: ResourceType = {
  properties: networkProperties,
  complete: (inputs) => ({ ...inputs, ipamDriver: "default", __defaults: ["ipamDriver"] }),
  plan: (inputs) => ({ ...inputs, id: UNKNOWN, internal: UNKNOWN, scope: UNKNOWN }),
  create: async (inputs, context) => {
    const api = apiOf(context);
    const { IPAM, ...wanted } = toApi(networkProperties, inputs);
    const ipam = { Driver: "default", ...(IPAM as Values | undefined) };
    const { Id } = await api.change("POST", "/networks/create", { ...wanted, IPAM: ipam });
    const id = String(Id);
    return { id, outputs: networkOutputs(await allocated(api, id)) };
  },
  diff: ({ outputs }, inputs) => changesOf(networkProperties, outputs, inputs),
  read: async (state, context) => {
    const found = await apiOf(context).find(`/networks/${state.id}`);
    return found && foundAs(networkProperties, state, networkOutputs(found));
  },
  delete: async ({ id }, context) => {
    const end = Date.now() + RELEASE_MS;
    const isUsed = (error: Error): boolean =>
      /in use|active endpoints/.test(error.message) && Date.now() < end;
    const remove = (): Promise<Values> =>
      apiOf(context)
        .change("DELETE", `/networks/${id}`)
        .catch(async (error: Error) => {
          if (!isUsed(error)) throw error;
          await pause();
          return remove();
        });
    await remove();
  },
};

/** A network of the Swarm has no driver and addresses until the Swarm has come to it. */
async function allocated(api: DockerApi, id: string): Promise<Values> {
  const end = Date.now() + RELEASE_MS;
  for (;;) {
    const found = (await api.find(`/networks/${id}`)) ?? {};
    if (found.Driver) return found;
    if (Date.now() > end) throw new StandInError(`the Swarm has not taken up network ${id}`);
    await pause();
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, RETRY_MS));
}

function networkOutputs(found: Values): Values {
  return {
    ...fromApi(networkProperties, found),
    id: found.Id,
    scope: found.Scope,
    ipamDriver: (found.IPAM as Values | undefined)?.Driver,
    __meta: '{"schema_version":"1"}',
  };
}

/** A Docker config or secret: all of it is fixed, so that another one takes its place under another name. */
function content(kind: "secrets" | "configs"): ResourceType {
  const properties: Properties = {
    data: { kind: "string", required: true, replaces: true, secret: kind === "secrets" },
    labels: labels(true),
  };
  return {
    properties,
    check: ({ data }): Mistake[] =>
      data === UNKNOWN || Buffer.from(String(data), "base64").toString("base64") === data
        ? []
        : [{ property: "data", reason: "the value is not base64 decodeable" }],
    complete: (inputs, olds, { name }) => ({
      ...inputs,
      name: olds.name ?? `${name}-${randomBytes(4).toString("hex").slice(0, 7)}`,
      __defaults: ["name"],
    }),
    plan: (inputs) => ({ ...inputs, id: UNKNOWN }),
    create: async (inputs, context) => {
      const { ID } = await apiOf(context).change("POST", `/${kind}/create`, {
        Name: inputs.name,
        Labels: labelCodec.to(inputs.labels),
        Data: inputs.data,
      });
      return { id: String(ID), outputs: { ...inputs, id: ID } };
    },
    // With a name of its own the new one can stand beside the one it replaces.
    diff: ({ outputs }, inputs) => ({
      ...changesOf(properties, outputs, inputs),
      deleteBeforeReplace: false,
    }),
    read: async (state, context) => {
      const found = await apiOf(context).find(`/${kind}/${state.id}`);
      if (!found) return undefined;
      const { Name, Labels, Data } = found.Spec as Values;
      // Of a secret the published plugin reads no labels either.
      const seen = kind === "configs" ? { labels: labelCodec.from(Labels), data: Data } : {};
      const outputs = { ...state.outputs, name: Name, ...seen };
      return foundAs(properties, state, outputs);
    },
    delete: async ({ id }, context) => {
      await apiOf(context).change("DELETE", `/${kind}/${id}`);
    },
  };
}

const service: ResourceType = {
  properties: serviceProperties,
  plan: (inputs, state) => {
    if (state) return kept(serviceProperties, inputs, state.outputs);
    const task = inputs.taskSpec as Values;
    const container = task.containerSpec as Values;
    return {
      ...inputs,
      id: UNKNOWN,
      mode: { replicated: UNKNOWN, ...(inputs.mode as Values) },
      taskSpec: {
        resources: UNKNOWN,
        ...task,
        forceUpdate: UNKNOWN,
        runtime: UNKNOWN,
        containerSpec: { healthcheck: UNKNOWN, ...container, dnsConfig: UNKNOWN, isolation: "default" },
      },
    };
  },
  complete: (inputs) => {
    const task = (inputs.taskSpec ?? {}) as Values;
    const container = { ...(task.containerSpec as Values | undefined), isolation: "default" };
    return { ...inputs, taskSpec: { ...task, containerSpec: container } };
  },
  create: async (inputs, context) => {
    const { ID } = await apiOf(context).change("POST", "/services/create", specOf(inputs));
    return { id: String(ID), outputs: await inspect(String(ID), context) };
  },
  diff: ({ outputs }, inputs) => changesOf(serviceProperties, outputs, inputs),
  update: async ({ id, outputs }, inputs, context) => {
    const api = apiOf(context);
    const { Index } = ((await api.find(`/services/${id}`))?.Version ?? {}) as Values;
    const spec = specOf(kept(serviceProperties, inputs, outputs));
    await api.change("POST", `/services/${id}/update?version=${String(Index)}`, spec);
    return inspect(id, context);
  },
  read: async (state, context) => {
    const found = await apiOf(context).find(`/services/${state.id}`);
    return found && foundAs(serviceProperties, state, outputsOf(found));
  },
  delete: async ({ id }, context) => {
    await apiOf(context).change("DELETE", `/services/${id}`);
  },
};

async function inspect(id: string, context: Context): Promise<Values> {
  return outputsOf((await apiOf(context).find(`/services/${id}`)) ?? { ID: id });
}

/** In place of the plugin `docker`: what a Swarm runs. */
export const docker: StandIn = {
  name: "docker",
  settings: {
    host: { kind: "string", required: true },
    sshOpts: { kind: { list: "string" } },
  },
  types: {
    "docker:index/network:Network": network,
    "docker:index/secret:Secret": content("secrets"),
    "docker:index/serviceConfig:ServiceConfig": content("configs"),
    "docker:index/service:Service": service,
  },
};
