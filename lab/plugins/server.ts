/**
 * Speaks the engine's protocol for a stand-in. Not `pulumi.provider.main`, which keeps a provider's settings,
 * previews and the names of changed properties from what it serves.
 */
import { tmpdir } from "node:os";
import * as path from "node:path";
import { callbackify, promisify } from "node:util";
import * as grpc from "@grpc/grpc-js";
import { ResourceProviderService } from "@pulumi/pulumi/proto/provider_grpc_pb";
import * as messages from "@pulumi/pulumi/proto/provider_pb";
import { PluginInfo } from "@pulumi/pulumi/proto/plugin_pb";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { Struct, type JavaScriptValue } from "google-protobuf/google/protobuf/struct_pb";
import { ToolError } from "../../toolchain";
import { LabError } from "../exec";
import { labRoot, projectName, stackName } from "../instance";
import { changesOf, type Difference } from "./changes";
import { merged, mistakesOf, placed, UNKNOWN, without, type Values } from "./properties";
import type { ResourceType, StandIn, State } from "./standIn";

type Named = StandIn & { readonly name: string; readonly version: string };

/** Serves until the process ends; gives back the port. */
export async function serve(plugin: Named): Promise<number> {
  const server = new grpc.Server();
  const methods = Object.entries(new Handler(plugin).methods);
  // What is not among them is answered as unimplemented, which the engine takes as "without that feature".
  const served = methods.map(([key, method]) => [key, unary(method as (request: unknown) => unknown)]);
  server.addService(ResourceProviderService, Object.fromEntries(served) as grpc.UntypedServiceImplementation);
  return promisify(server.bindAsync.bind(server))("127.0.0.1:0", grpc.ServerCredentials.createInsecure());
}

/** A method whose failures reach the engine as their message; with a stack trace where the fault is here. */
function unary(method: (request: unknown) => unknown) {
  return callbackify(async ({ request }: { readonly request: unknown }) => {
    try {
      return await method(request);
    } catch (error) {
      throw error instanceof ToolError ? error : new Error((error as Error).stack);
    }
  });
}

class Handler {
  private settings: Values = {};

  constructor(private readonly plugin: Named) {}

  readonly methods = {
    getPluginInfo: () => new PluginInfo().setVersion(this.plugin.version),
    cancel: () => new Empty(),
    invoke: (request: messages.InvokeRequest) => this.refuse(`has no function ${request.getTok()}`),
    call: (request: messages.CallRequest) => this.refuse(`has no method ${request.getTok()}`),
    construct: (request: messages.ConstructRequest) => this.refuse(`has no component ${request.getType()}`),

    /** No secret is accepted: the engine takes their marks off, and puts them on outputs of the same name. */
    configure: (request: messages.ConfigureRequest) => {
      const given = Object.entries(valuesOf(request.getArgs()));
      // The plugin's version, and what the published one notes for itself, are no settings.
      this.settings = Object.fromEntries(given.filter(([key]) => !/^(version$|__)/.test(key)));
      const [mistake] = mistakesOf(this.plugin.settings ?? {}, this.settings);
      if (mistake) throw new LabError(`${mistake.property}: ${mistake.reason}`);
      return new messages.ConfigureResponse().setSupportspreview(true);
    },

    check: (request: messages.CheckRequest) => {
      const { type, context } = this.askedFor(request);
      const inputs = inputsOf(request.getNews());
      const completed = type.complete?.(inputs, valuesOf(request.getOlds()), context) ?? inputs;
      const failures = mistakesOf(type.properties, inputs).map(({ property, reason }) =>
        new messages.CheckFailure().setProperty(property).setReason(reason),
      );
      return new messages.CheckResponse().setInputs(structOf(completed)).setFailuresList(failures);
    },

    diff: (request: messages.DiffRequest) => {
      const { type } = this.askedFor(request);
      const state = stateOf(request.getId(), request.getOldInputs(), request.getOlds());
      const news = { ...type.defaults, ...inputsOf(request.getNews()) };
      const changes = changesOf(type.properties, state.outputs, news);
      const deletesFirst = type.deleteBeforeReplace === true && changes.some(({ replaces }) => replaces);
      const all = [...changes, ...(type.diff?.(state, news, changes) ?? [])];
      return diffResponse(all, this.plugin.tellsPaths === true).setDeletebeforereplace(deletesFirst);
    },

    create: async (request: messages.CreateRequest) => {
      const { type, context } = this.askedFor(request);
      const inputs = inputsOf(request.getProperties());
      if (request.getPreview()) {
        return new messages.CreateResponse().setProperties(structOf(planOf(type, inputs)));
      }
      const { id, ...made } = await type.create(inputs, context);
      const outputs = { ...type.defaults, ...inputs, ...made, ...(type.made.includes("id") && { id }) };
      return new messages.CreateResponse().setId(String(id)).setProperties(structOf(outputs));
    },

    update: async (request: messages.UpdateRequest) => {
      const { type, kind, context } = this.askedFor(request);
      const state = stateOf(request.getId(), request.getOldInputs(), request.getOlds());
      const inputs = inputsOf(request.getNews());
      if (!type.update) return this.refuse(`changes no ${kind}`);
      const outputs = request.getPreview()
        ? (type.planUpdate?.(state, inputs) ?? planOf(type, inputs))
        : await type.update(state, inputs, context);
      return new messages.UpdateResponse().setProperties(structOf(outputs));
    },

    read: async (request: messages.ReadRequest) => {
      const { type, kind, context } = this.askedFor(request);
      const state = stateOf(request.getId(), request.getInputs(), request.getProperties());
      if (Object.keys(state.outputs).length === 0) return this.refuse(`imports no ${kind}`);
      const found = type.read ? await type.read(state, context) : state;
      const answer = new messages.ReadResponse();
      if (!found) return answer;
      return answer.setId(found.id).setInputs(structOf(found.inputs)).setProperties(structOf(found.outputs));
    },

    delete: async (request: messages.DeleteRequest) => {
      const { type, context } = this.askedFor(request);
      await type.delete?.(request.getId(), context);
      return new Empty();
    },
  };

  private refuse(what: string): never {
    throw new LabError(
      `the lab's stand-in for the plugin ${this.plugin.name} ${what}: Moorage needs none; install the published plugin (docs/toolchain.md)`,
    );
  }

  private askedFor(request: { getUrn(): string }) {
    refuseOtherStacks(request.getUrn());
    const [, , types = "", ...name] = request.getUrn().split("::");
    // In front of the type are those of the parents.
    const kind = types.split("$").at(-1) ?? "";
    const type = this.plugin.types[kind] ?? this.refuse(`makes no ${kind}`);
    return { type, kind, context: { name: name.join("::"), settings: this.settings } };
  }
}

function diffResponse(changes: readonly Difference[], tellsPaths: boolean): messages.DiffResponse {
  const { DIFF_SOME, DIFF_NONE } = messages.DiffResponse.DiffChanges;
  const { Kind } = messages.PropertyDiff;
  const answer = new messages.DiffResponse()
    .setChanges(changes.length > 0 ? DIFF_SOME : DIFF_NONE)
    .setDiffsList(topsOf(changes))
    .setReplacesList(topsOf(changes.filter(({ replaces }) => replaces)))
    .setHasdetaileddiff(tellsPaths);
  for (const { path, kind, replaces } of tellsPaths ? changes : []) {
    const name = `${kind}${replaces ? "_replace" : ""}`.toUpperCase() as keyof typeof Kind;
    answer.getDetaileddiffMap().set(path, new messages.PropertyDiff().setKind(Kind[name]));
  }
  return answer;
}

/** The properties that paths begin with. */
function topsOf(changes: readonly Difference[]): string[] {
  return [...new Set(changes.map(({ path }) => path.replace(/[.[].*/, "")))].sort();
}

function planOf({ made, defaults }: ResourceType, inputs: Values): Values {
  const known = { ...defaults, ...inputs };
  return made.reduce((all, path) => merged(placed(path, UNKNOWN), all), known);
}

function stateOf(id: string, inputs: Struct | undefined, outputs: Struct | undefined): State {
  return { id, inputs: inputsOf(inputs), outputs: inputsOf(outputs) };
}

function inputsOf(struct: Struct | undefined): Values {
  return without(valuesOf(struct), "__defaults");
}

function valuesOf(struct: Struct | undefined): Values {
  return struct?.toJavaScript() ?? {};
}

/** Without what has no value. */
function structOf(values: Values): Struct {
  return Struct.fromJavaScript(JSON.parse(JSON.stringify(values)) as Record<string, JavaScriptValue>);
}

/** Only stack `dev` of this project whose state lies in a lab's folder is the lab's. @throws for any other */
function refuseOtherStacks(urn: string): void {
  const { PULUMI_BACKEND_URL: backend = "", MOORAGE_STAND_INS_FOR: named } = process.env;
  const folder = path.resolve(/^file:\/\/(\/[^?]*)/.exec(backend)?.[1] ?? "/");
  const isIn = (root: string): boolean => folder.startsWith(`${path.resolve(root)}/`);
  if (isIn(labRoot()) && urn.startsWith(`urn:pulumi:${stackName}::${projectName}::`)) return;
  // Tests and measurements name a backend of theirs, which lies where nobody keeps a stack.
  if (backend === named && (isIn(labRoot()) || isIn(tmpdir()))) return;
  throw new LabError(
    `stack ${urn.split("::")[0]?.split(":").at(-1)} is none of the lab's, and the lab's stand-ins for provider plugins work for no other: install the published plugins (docs/toolchain.md)`,
  );
}
