import { spawn, type ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import * as grpc from "@grpc/grpc-js";
import { EngineService } from "@pulumi/pulumi/proto/engine_grpc_pb";
import type { LogRequest } from "@pulumi/pulumi/proto/engine_pb";
import { ResourceProviderClient } from "@pulumi/pulumi/proto/provider_grpc_pb";
import * as messages from "@pulumi/pulumi/proto/provider_pb";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { Struct, type JavaScriptValue } from "google-protobuf/google/protobuf/struct_pb";

/** Properties as they are on the wire, secrets wrapped. */
export type Wire = Record<string, unknown>;

/** What a plugin makes of the inputs that a program gives. */
export interface Checked {
  readonly inputs: Wire;
  readonly failures: readonly { readonly property: string; readonly reason: string }[];
}

/** A resource as the engine records it. */
export interface Recorded {
  readonly id: string;
  readonly inputs: Wire;
  readonly outputs: Wire;
}

/** How a plugin answers whether something changed. */
export interface Diffed {
  readonly changes: "unknown" | "none" | "some";
  readonly replaces: readonly string[];
  readonly diffs: readonly string[];
  readonly deleteBeforeReplace: boolean;
  /** Kind of change by property path. */
  readonly detailed: Readonly<Record<string, string>>;
}

/** What stands for a value that is not known before an update. */
export const unknownValue = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

/** One plugin, spoken to as the engine does. */
export class Plugin {
  /** What it told the engine to print. */
  readonly said: string[] = [];
  /** Where it takes none, the engine gives it plain values, and keeps the marks of secrets itself. */
  private acceptsSecrets = false;

  private constructor(
    private readonly process: ChildProcess,
    private readonly engine: grpc.Server,
    private readonly client: ResourceProviderClient,
  ) {}

  /** Starts a plugin's program. @param env what it sees besides this process's environment */
  static async start(program: string, env: Readonly<Record<string, string>> = {}): Promise<Plugin> {
    const said: string[] = [];
    const engine = new grpc.Server();
    engine.addService(EngineService, {
      log: (call: { request: LogRequest }, answer: (error: null, empty: Empty) => void) => {
        said.push(call.request.getMessage());
        answer(null, new Empty());
      },
    });
    const port = await new Promise<number>((resolve, reject) =>
      engine.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      ),
    );
    const child = spawn(program, [`127.0.0.1:${port}`], {
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const own = await firstLine(child, program);
    const client = new ResourceProviderClient(`127.0.0.1:${own}`, grpc.credentials.createInsecure());
    const plugin = new Plugin(child, engine, client);
    plugin.said.push(...said);
    return plugin;
  }

  stop(): void {
    this.client.close();
    this.process.kill();
    this.engine.forceShutdown();
  }

  /** Checks a provider's settings and takes them up, as at the start of every operation. */
  async configure(packageName: string, settings: Wire = {}): Promise<Checked> {
    const check = new messages.CheckRequest();
    check.setUrn(urnOf(`pulumi:providers:${packageName}`, "provider"));
    check.setOlds(struct({}));
    check.setNews(struct(settings));
    const answer = await ask<messages.CheckResponse>((done) => this.client.checkConfig(check, done)).catch(
      (error: grpc.ServiceError) => {
        if (error.code !== grpc.status.UNIMPLEMENTED) throw error;
        return new messages.CheckResponse().setInputs(check.getNews());
      },
    );
    const request = new messages.ConfigureRequest();
    request.setArgs(answer.getInputs() ?? struct({}));
    for (const [key, value] of Object.entries(settings)) {
      request.getVariablesMap().set(`${packageName}:config:${key}`, String(value));
    }
    request.setAcceptsecrets(true);
    request.setAcceptresources(true);
    request.setSendsOldInputs(true);
    request.setSendsOldInputsToDelete(true);
    const configured = await ask<messages.ConfigureResponse>((done) => this.client.configure(request, done));
    this.acceptsSecrets = configured.getAcceptsecrets();
    return checkedOf(answer);
  }

  async check(type: string, news: Wire, olds: Wire = {}, name = "it", stack = labStack): Promise<Checked> {
    const request = new messages.CheckRequest();
    request.setUrn(urnOf(type, name, stack));
    request.setType(type);
    request.setName(name);
    request.setOlds(this.sent(olds));
    request.setNews(this.sent(news));
    request.setRandomseed(Buffer.alloc(32, 7));
    const answer = await ask<messages.CheckResponse>((done) => this.client.check(request, done));
    const { inputs, failures } = checkedOf(answer);
    return { inputs: this.received(inputs, news), failures };
  }

  async create(
    type: string,
    inputs: Wire,
    preview = false,
    name = "it",
    stack = labStack,
  ): Promise<Recorded> {
    const request = new messages.CreateRequest();
    request.setUrn(urnOf(type, name, stack));
    request.setType(type);
    request.setName(name);
    request.setProperties(this.sent(inputs));
    request.setPreview(preview);
    const answer = await ask<messages.CreateResponse>((done) => this.client.create(request, done));
    const outputs = this.received(plainOf(answer.getProperties()), inputs);
    return { id: answer.getId(), inputs, outputs: markedBySdk(type, outputs) };
  }

  async diff(type: string, old: Recorded, news: Wire, name = "it"): Promise<Diffed> {
    const request = new messages.DiffRequest();
    request.setUrn(urnOf(type, name));
    request.setType(type);
    request.setName(name);
    request.setId(old.id);
    request.setOlds(this.sent(old.outputs));
    request.setOldInputs(this.sent(old.inputs));
    request.setNews(this.sent(news));
    return diffedOf(await ask<messages.DiffResponse>((done) => this.client.diff(request, done)));
  }

  async update(type: string, old: Recorded, news: Wire, preview = false, name = "it"): Promise<Recorded> {
    const request = new messages.UpdateRequest();
    request.setUrn(urnOf(type, name));
    request.setType(type);
    request.setName(name);
    request.setId(old.id);
    request.setOlds(this.sent(old.outputs));
    request.setOldInputs(this.sent(old.inputs));
    request.setNews(this.sent(news));
    request.setPreview(preview);
    const answer = await ask<messages.UpdateResponse>((done) => this.client.update(request, done));
    const outputs = this.received(plainOf(answer.getProperties()), news);
    return { id: old.id, inputs: news, outputs: markedBySdk(type, outputs) };
  }

  /** What a refresh finds; an empty id where there is nothing any more. */
  async read(type: string, old: Recorded, name = "it"): Promise<Recorded> {
    const request = new messages.ReadRequest();
    request.setUrn(urnOf(type, name));
    request.setType(type);
    request.setName(name);
    request.setId(old.id);
    request.setProperties(this.sent(old.outputs));
    request.setInputs(this.sent(old.inputs));
    const answer = await ask<messages.ReadResponse>((done) => this.client.read(request, done));
    return {
      id: answer.getId(),
      inputs: this.received(plainOf(answer.getInputs()), old.inputs),
      outputs: markedBySdk(type, this.received(plainOf(answer.getProperties()), old.outputs)),
    };
  }

  async delete(type: string, old: Recorded, name = "it"): Promise<void> {
    const request = new messages.DeleteRequest();
    request.setUrn(urnOf(type, name));
    request.setType(type);
    request.setName(name);
    request.setId(old.id);
    request.setProperties(this.sent(old.outputs));
    request.setOldInputs(this.sent(old.inputs));
    await ask<Empty>((done) => this.client.delete(request, done));
  }

  async invoke(token: string): Promise<void> {
    const request = new messages.InvokeRequest().setTok(token);
    await ask<messages.InvokeResponse>((done) => this.client.invoke(request, done));
  }

  async call(token: string): Promise<void> {
    const request = new messages.CallRequest().setTok(token);
    await ask<messages.CallResponse>((done) => this.client.call(request, done));
  }

  async construct(type: string): Promise<void> {
    const request = new messages.ConstructRequest().setType(type).setName("it");
    await ask<messages.ConstructResponse>((done) => this.client.construct(request, done));
  }

  private sent(values: Wire): Struct {
    return struct(this.acceptsSecrets ? values : (withoutMarks(values) as Wire));
  }

  /** As the engine has it (`annotateSecrets`): what was given as a secret comes back as one. */
  private received(values: Wire, given: Wire): Wire {
    return this.acceptsSecrets ? values : remarked(values, given);
  }
}

/** How the URNs of the lab's stack begin. */
const labStack = "urn:pulumi:dev::moorage";

/** The URN of a resource. */
export function urnOf(type: string, name: string, stack = labStack): string {
  return `${stack}::${type}::${name}`;
}

const mark = { key: "4dabf18193072939515e22adb298388d", secret: "1b47061264138c4ac30d75fd1eb44270" };

export function secretOf(value: unknown): Wire {
  return { [mark.key]: mark.secret, value };
}

export function isSecret(value: unknown): value is Wire {
  return typeof value === "object" && value !== null && mark.key in value;
}

function withoutMarks(value: unknown): unknown {
  if (isSecret(value)) return withoutMarks(value.value);
  if (Array.isArray(value)) return value.map(withoutMarks);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withoutMarks(inner)]));
}

function remarked(values: Wire, given: Wire): Wire {
  const isPlain = (value: unknown): value is Wire =>
    typeof value === "object" && value !== null && !Array.isArray(value) && !isSecret(value);
  const entries = Object.entries(values).map(([key, value]) => {
    const before = given[key];
    if (isPlain(value) && isPlain(before)) return [key, remarked(value, before)];
    const isMeant = !isSecret(value) && JSON.stringify(before ?? null).includes(mark.secret);
    return [key, isMeant ? secretOf(value) : value];
  });
  return Object.fromEntries(entries) as Wire;
}

/** The engine marks what the published SDK names as secret, whatever the plugin says of it. */
function markedBySdk(type: string, outputs: Wire): Wire {
  const [name = "", module = "", resource = ""] = type.split(":");
  const own = `${module}/${resource.charAt(0).toLowerCase()}${resource.slice(1)}`;
  const file = require.resolve(
    `@pulumi/${name}/${module.includes("/") ? module.replace("index/", "") : own}`,
  );
  const named = /additionalSecretOutputs: (\[.*?\])/.exec(fs.readFileSync(file, "utf8"))?.[1] ?? "[]";
  const keys = (JSON.parse(named) as string[]).filter((key) => key in outputs);
  const isOpen = (key: string): boolean => outputs[key] !== unknownValue && !isSecret(outputs[key]);
  return {
    ...outputs,
    ...Object.fromEntries(keys.filter(isOpen).map((key) => [key, secretOf(outputs[key])])),
  };
}

function struct(value: Wire): Struct {
  return Struct.fromJavaScript(value as Record<string, JavaScriptValue>);
}

function plainOf(value: Struct | undefined): Wire {
  return value?.toJavaScript() ?? {};
}

function ask<T>(send: (done: (error: Error | null, answer: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => send((error, answer) => (error ? reject(error) : resolve(answer))));
}

function firstLine(child: ChildProcess, program: string): Promise<string> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`${program} ended with ${code} before it served`)));
    child.stdout?.once("data", (text: Buffer) => resolve(text.toString().trim()));
  });
}

function checkedOf(answer: messages.CheckResponse): Checked {
  return {
    inputs: plainOf(answer.getInputs()),
    failures: answer
      .getFailuresList()
      .map((failure) => ({ property: failure.getProperty(), reason: failure.getReason() })),
  };
}

function diffedOf(answer: messages.DiffResponse): Diffed {
  const kinds = ["add", "add-replace", "delete", "delete-replace", "update", "update-replace"];
  const detailed: [string, string][] = [];
  answer
    .getDetaileddiffMap()
    .forEach((one, path) =>
      detailed.push([path, `${kinds[one.getKind()]}${one.getInputdiff() ? " of input" : ""}`]),
    );
  return {
    changes: (["unknown", "none", "some"] as const)[answer.getChanges()],
    replaces: answer.getReplacesList().sort(),
    diffs: answer.getDiffsList().sort(),
    deleteBeforeReplace: answer.getDeletebeforereplace(),
    detailed: Object.fromEntries(detailed.sort()),
  };
}
