/**
 * Speaks the engine's protocol for a stand-in. Not `pulumi.provider.main`, which keeps a provider's settings,
 * previews and the names of changed properties from what it serves.
 */
import * as grpc from "@grpc/grpc-js";
import { ResourceProviderService } from "@pulumi/pulumi/proto/provider_grpc_pb";
import * as messages from "@pulumi/pulumi/proto/provider_pb";
import { PluginInfo } from "@pulumi/pulumi/proto/plugin_pb";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { Struct, type JavaScriptValue } from "google-protobuf/google/protobuf/struct_pb";
import { refuseOtherStacks } from "./lab";
import { mistakesOf } from "./properties";
import { same, StandInError, type Change, type ResourceType, type StandIn, type State } from "./standIn";
import { defined, marked, plain, secretKeys, without, type Values } from "./values";

/** What requests about a resource have in common. */
interface Request {
  getUrn(): string;
}

type Answer<Out> = (error: Partial<grpc.ServiceError> | null, answer?: Out) => void;

/** Serves until the process ends; gives back the port. */
export async function serve(plugin: StandIn, version: string): Promise<number> {
  const server = new grpc.Server({
    "grpc.max_receive_message_length": -1,
    "grpc.max_send_message_length": -1,
  });
  server.addService(ResourceProviderService, methodsOf(new Handler(plugin), version));
  return new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) =>
      error ? reject(error) : resolve(port),
    );
  });
}

function methodsOf(handler: Handler, version: string): grpc.UntypedServiceImplementation {
  const done = (): Promise<Empty> => Promise.resolve(new Empty());
  const unknown = (): Promise<never> =>
    Promise.reject(Object.assign(new Error("no such method"), { code: grpc.status.UNIMPLEMENTED }));
  return {
    handshake: unary(unknown),
    parameterize: unary(unknown),
    getSchema: unary(unknown),
    invoke: unary(() => Promise.reject(handler.refusal("calls no functions"))),
    call: unary(() => Promise.reject(handler.refusal("calls no methods"))),
    construct: unary(() => Promise.reject(handler.refusal("has no components"))),
    list: (call: grpc.ServerWritableStream<unknown, unknown>) =>
      void call.emit("error", { code: grpc.status.UNIMPLEMENTED, details: "no such method" }),
    getMapping: unary(unknown),
    getMappings: unary(unknown),
    attach: unary(done),
    cancel: unary(done),
    getPluginInfo: unary(() => {
      const info = new PluginInfo();
      info.setVersion(version);
      return Promise.resolve(info);
    }),
    checkConfig: unary((request: messages.CheckRequest) => handler.checkConfig(request)),
    diffConfig: unary((request: messages.DiffRequest) => handler.diffConfig(request)),
    configure: unary((request: messages.ConfigureRequest) => handler.configure(request)),
    check: unary((request: messages.CheckRequest) => handler.check(request)),
    diff: unary((request: messages.DiffRequest) => handler.diff(request)),
    create: unary((request: messages.CreateRequest) => handler.create(request)),
    read: unary((request: messages.ReadRequest) => handler.read(request)),
    update: unary((request: messages.UpdateRequest) => handler.update(request)),
    delete: unary((request: messages.DeleteRequest) => handler.delete(request)),
  };
}

/** A method whose failures reach the engine as their message; a stack trace only where the fault is here. */
function unary<In, Out>(method: (request: In) => Promise<Out>) {
  return ({ request }: { readonly request: In }, answer: Answer<Out>): void => {
    // Whatever is thrown on the way is an answer too.
    void Promise.resolve(request)
      .then(method)
      .then(
        (value) => answer(null, value),
        (error: Error & { code?: grpc.status }) => {
          const known = error instanceof StandInError || error.code === grpc.status.UNIMPLEMENTED;
          const code = typeof error.code === "number" ? error.code : grpc.status.UNKNOWN;
          answer({ code, details: known ? error.message : (error.stack ?? error.message) });
        },
      );
  };
}

class Handler {
  private settings: Values = {};

  constructor(private readonly plugin: StandIn) {}

  refusal(what: string): StandInError {
    return new StandInError(
      `the lab's stand-in for the plugin ${this.plugin.name} ${what}: Moorage needs none; install the published plugin (docs/toolchain.md)`,
    );
  }

  checkConfig(request: messages.CheckRequest): Promise<messages.CheckResponse> {
    refuseOtherStacks(request.getUrn());
    const settings = plain(valuesOf(request.getNews())) as Values;
    const own = without(settings, "version");
    return Promise.resolve(
      checkResponse(valuesOf(request.getNews()), mistakesOf(this.plugin.settings, parsed(own))),
    );
  }

  /** Other settings of a provider are taken up by the next operation; they replace nothing. */
  diffConfig(request: messages.DiffRequest): Promise<messages.DiffResponse> {
    const [olds, news] = [valuesOf(request.getOlds()), valuesOf(request.getNews())];
    const keys = [...new Set([...Object.keys(olds), ...Object.keys(news)])];
    const diffs = keys.filter((key) => JSON.stringify(olds[key]) !== JSON.stringify(news[key]));
    return Promise.resolve(diffResponse({ diffs, replaces: [] }));
  }

  configure(request: messages.ConfigureRequest): Promise<messages.ConfigureResponse> {
    this.settings = parsed(plain(valuesOf(request.getArgs())) as Values);
    const answer = new messages.ConfigureResponse();
    answer.setAcceptsecrets(true);
    answer.setSupportspreview(true);
    return Promise.resolve(answer);
  }

  check(request: messages.CheckRequest): Promise<messages.CheckResponse> {
    const type = this.typeOf(request);
    const news = valuesOf(request.getNews());
    const inputs = plain(news) as Values;
    const given = without(inputs, "__defaults");
    const mistakes = mistakesOf(type.properties, given);
    if (mistakes.length === 0) mistakes.push(...(type.check?.(given) ?? []));
    const olds = plain(valuesOf(request.getOlds())) as Values;
    const completed = type.complete?.(given, olds, this.contextOf(request)) ?? given;
    const all = Object.fromEntries(
      Object.entries(completed).map(([key, value]) => [key, same(value, inputs[key]) ? news[key] : value]),
    );
    const secrets = Object.keys(type.properties).filter((key) => type.properties[key]?.secret);
    return Promise.resolve(checkResponse(marked(all, secrets), mistakes));
  }

  diff(request: messages.DiffRequest): Promise<messages.DiffResponse> {
    const type = this.typeOf(request);
    const news = plain(valuesOf(request.getNews())) as Values;
    return Promise.resolve(diffResponse(type.diff(oldOf(request), news)));
  }

  async create(request: messages.CreateRequest): Promise<messages.CreateResponse> {
    const type = this.typeOf(request);
    const inputs = inputsOf(request.getProperties());
    const made = request.getPreview()
      ? { id: "", outputs: type.plan(inputs) }
      : await type.create(inputs, this.contextOf(request));
    const answer = new messages.CreateResponse();
    answer.setId(made.id);
    answer.setProperties(outputsOf(type, made.outputs, request.getProperties()));
    return answer;
  }

  async update(request: messages.UpdateRequest): Promise<messages.UpdateResponse> {
    const type = this.typeOf(request);
    const [state, inputs] = [oldOf(request), inputsOf(request.getNews())];
    if (!type.update) throw this.refusal(`changes no ${kindOf(request)}`);
    const outputs = request.getPreview()
      ? type.plan(inputs, state)
      : await type.update(state, inputs, this.contextOf(request));
    const answer = new messages.UpdateResponse();
    answer.setProperties(outputsOf(type, outputs, request.getNews()));
    return answer;
  }

  async read(request: messages.ReadRequest): Promise<messages.ReadResponse> {
    const type = this.typeOf(request);
    const state: State = {
      id: request.getId(),
      inputs: inputsOf(request.getInputs()),
      outputs: inputsOf(request.getProperties()),
    };
    if (Object.keys(state.outputs).length === 0) throw this.refusal("imports nothing");
    const found = type.read ? await type.read(state, this.contextOf(request)) : state;
    const answer = new messages.ReadResponse();
    if (!found) return answer;
    const secrets = secretKeys(valuesOf(request.getInputs()));
    answer.setId(found.id);
    answer.setProperties(outputsOf(type, found.outputs, request.getProperties()));
    answer.setInputs(structOf(marked(found.inputs, secrets)));
    return answer;
  }

  async delete(request: messages.DeleteRequest): Promise<Empty> {
    const type = this.typeOf(request);
    const state = { id: request.getId(), inputs: {}, outputs: inputsOf(request.getProperties()) };
    await type.delete?.(state, this.contextOf(request));
    return new Empty();
  }

  private typeOf(request: Request): ResourceType {
    refuseOtherStacks(request.getUrn());
    const type = this.plugin.types[kindOf(request)];
    if (type) return type;
    throw this.refusal(`makes no ${kindOf(request)}`);
  }

  private contextOf(request: Request) {
    return { name: request.getUrn().split("::").slice(3).join("::"), settings: this.settings };
  }
}

/** The type of a URN, without the types of its parents. */
function kindOf(request: Request): string {
  return request.getUrn().split("::")[2]?.split("$").at(-1) ?? "";
}

function oldOf(request: messages.DiffRequest | messages.UpdateRequest): State {
  return {
    id: request.getId(),
    inputs: inputsOf(request.getOldInputs()),
    outputs: inputsOf(request.getOlds()),
  };
}

function checkResponse(inputs: Values, mistakes: ReturnType<typeof mistakesOf>): messages.CheckResponse {
  const answer = new messages.CheckResponse();
  answer.setInputs(structOf(inputs));
  for (const mistake of mistakes) {
    const failure = new messages.CheckFailure();
    failure.setProperty(mistake.property);
    failure.setReason(mistake.reason);
    answer.addFailures(failure);
  }
  return answer;
}

function diffResponse(change: Change): messages.DiffResponse {
  const { DiffChanges } = messages.DiffResponse;
  const answer = new messages.DiffResponse();
  answer.setChanges(change.diffs.length > 0 ? DiffChanges.DIFF_SOME : DiffChanges.DIFF_NONE);
  answer.setDiffsList([...change.diffs]);
  answer.setReplacesList([...change.replaces]);
  answer.setDeletebeforereplace(change.deleteBeforeReplace ?? false);
  answer.setHasdetaileddiff(change.detailed !== undefined);
  for (const [path, kind] of Object.entries(change.detailed ?? {})) {
    const detail = new messages.PropertyDiff();
    const replaces = change.replaces.includes(path);
    const name =
      `${kind}${replaces ? "_replace" : ""}`.toUpperCase() as keyof typeof messages.PropertyDiff.Kind;
    detail.setKind(messages.PropertyDiff.Kind[name]);
    answer.getDetaileddiffMap().set(path, detail);
  }
  return answer;
}

/** Outputs keep the mark of the inputs that they repeat. */
function outputsOf(type: ResourceType, outputs: Values, given: Struct | undefined): Struct {
  return structOf(marked(outputs, [...(type.secretOutputs ?? []), ...secretKeys(valuesOf(given))]));
}

function inputsOf(struct: Struct | undefined): Values {
  return without(plain(valuesOf(struct)) as Values, "__defaults");
}

function valuesOf(struct: Struct | undefined): Values {
  return struct?.toJavaScript() ?? {};
}

function structOf(values: Values): Struct {
  return Struct.fromJavaScript(defined(values) as Record<string, JavaScriptValue>);
}

/** Settings of a provider arrive as texts; those that are no texts are JSON. */
function parsed(settings: Values): Values {
  const read = (value: unknown): unknown =>
    typeof value === "string" && /^[[{]/.test(value) ? JSON.parse(value) : value;
  return Object.fromEntries(Object.entries(settings).map(([key, value]) => [key, read(value)]));
}
