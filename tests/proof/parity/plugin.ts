import { spawn, type ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import * as grpc from "@grpc/grpc-js";
import { EngineService } from "@pulumi/pulumi/proto/engine_grpc_pb";
import { ResourceProviderClient } from "@pulumi/pulumi/proto/provider_grpc_pb";
import * as messages from "@pulumi/pulumi/proto/provider_pb";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { Struct, type JavaScriptValue } from "google-protobuf/google/protobuf/struct_pb";

/** Properties as they are sent, with their secrets marked. */
export type Wire = Record<string, unknown>;

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

export interface Diffed {
  readonly changes: "unknown" | "none" | "some";
  readonly replaces: readonly string[];
  readonly diffs: readonly string[];
  readonly deleteBeforeReplace: boolean;
  /** Kind of change by property path. */
  readonly detailed: Readonly<Record<string, string>>;
}

/** Stands for a value that is not known before an update. */
export const unknownValue = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

const labStack = "urn:pulumi:dev::moorage";

const urnOf = (type: string, name = "it", stack = labStack): string => `${stack}::${type}::${name}`;

/** One plugin process, which is called as the engine calls it. */
export class Plugin {
  /** If it accepts no secrets, the engine sends it plain values and keeps the marks itself. */
  private acceptsSecrets = false;

  private constructor(
    private readonly process: ChildProcess,
    private readonly engine: grpc.Server,
    private readonly client: ResourceProviderClient,
  ) {}

  /** Starts a plugin's program. @param env is added to this process's environment */
  static async start(program: string, env: Readonly<Record<string, string>> = {}): Promise<Plugin> {
    const engine = new grpc.Server();
    const log = (_call: unknown, answer: (error: null, empty: Empty) => void) => answer(null, new Empty());
    engine.addService(EngineService, { log });
    const port = await ask<number>((done) =>
      engine.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), done),
    );
    const child = spawn(program, [`127.0.0.1:${port}`], {
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const own = await firstLine(child, program);
    const client = new ResourceProviderClient(`127.0.0.1:${own}`, grpc.credentials.createInsecure());
    return new Plugin(child, engine, client);
  }

  stop(): void {
    this.client.close();
    this.process.kill();
    this.engine.forceShutdown();
  }

  /** Checks and sets a provider's settings. */
  async configure(packageName: string, settings: Wire = {}): Promise<void> {
    const check = new messages.CheckRequest()
      .setUrn(urnOf(`pulumi:providers:${packageName}`, "provider"))
      .setOlds(struct({}))
      .setNews(struct(settings));
    const checked = await ask<messages.CheckResponse>((done) => this.client.checkConfig(check, done)).catch(
      (error: grpc.ServiceError) => {
        if (error.code !== grpc.status.UNIMPLEMENTED) throw error;
        return new messages.CheckResponse().setInputs(check.getNews());
      },
    );
    const request = new messages.ConfigureRequest()
      .setArgs(checked.getInputs() ?? struct({}))
      .setAcceptsecrets(true)
      .setAcceptresources(true)
      .setSendsOldInputs(true)
      .setSendsOldInputsToDelete(true);
    for (const [key, value] of Object.entries(settings)) {
      request.getVariablesMap().set(`${packageName}:config:${key}`, String(value));
    }
    const configured = await ask<messages.ConfigureResponse>((done) => this.client.configure(request, done));
    this.acceptsSecrets = configured.getAcceptsecrets();
  }

  async check(type: string, news: Wire, olds: Wire = {}, name = "it", stack = labStack): Promise<Checked> {
    const request = new messages.CheckRequest()
      .setUrn(urnOf(type, name, stack))
      .setType(type)
      .setName(name);
    request.setOlds(this.sent(olds)).setNews(this.sent(news)).setRandomseed(Buffer.alloc(32, 7));
    const answer = await ask<messages.CheckResponse>((done) => this.client.check(request, done));
    const failures = answer.getFailuresList().map((one) => one.toObject());
    return { inputs: this.received(answer.getInputs(), news), failures };
  }

  async create(type: string, inputs: Wire, preview = false, name = "it"): Promise<Recorded> {
    const request = new messages.CreateRequest().setUrn(urnOf(type, name)).setType(type).setName(name);
    request.setProperties(this.sent(inputs)).setPreview(preview);
    const answer = await ask<messages.CreateResponse>((done) => this.client.create(request, done));
    const outputs = markedBySdk(type, this.received(answer.getProperties(), inputs));
    return { id: answer.getId(), inputs, outputs };
  }

  async diff(type: string, old: Recorded, news: Wire): Promise<Diffed> {
    const request = this.changeOf(new messages.DiffRequest(), type, old, news);
    return diffedOf(await ask<messages.DiffResponse>((done) => this.client.diff(request, done)));
  }

  async update(type: string, old: Recorded, news: Wire, preview = false): Promise<Recorded> {
    const request = this.changeOf(new messages.UpdateRequest(), type, old, news).setPreview(preview);
    const answer = await ask<messages.UpdateResponse>((done) => this.client.update(request, done));
    const outputs = markedBySdk(type, this.received(answer.getProperties(), news));
    return { id: old.id, inputs: news, outputs };
  }

  /** What a refresh finds: an empty id if the resource is gone. */
  async read(type: string, old: Recorded): Promise<Recorded> {
    const request = new messages.ReadRequest().setUrn(urnOf(type)).setType(type).setName("it").setId(old.id);
    request.setProperties(this.sent(old.outputs)).setInputs(this.sent(old.inputs));
    const answer = await ask<messages.ReadResponse>((done) => this.client.read(request, done));
    return {
      id: answer.getId(),
      inputs: this.received(answer.getInputs(), old.inputs),
      outputs: markedBySdk(type, this.received(answer.getProperties(), old.outputs)),
    };
  }

  async delete(type: string, old: Recorded): Promise<void> {
    const request = new messages.DeleteRequest()
      .setUrn(urnOf(type))
      .setType(type)
      .setName("it")
      .setId(old.id)
      .setProperties(this.sent(old.outputs))
      .setOldInputs(this.sent(old.inputs));
    await ask<Empty>((done) => this.client.delete(request, done));
  }

  private changeOf<R extends messages.DiffRequest | messages.UpdateRequest>(
    request: R,
    type: string,
    old: Recorded,
    news: Wire,
  ): R {
    request.setUrn(urnOf(type)).setType(type).setName("it").setId(old.id);
    request.setOlds(this.sent(old.outputs)).setOldInputs(this.sent(old.inputs)).setNews(this.sent(news));
    return request;
  }

  private sent(values: Wire): Struct {
    return struct(this.acceptsSecrets ? values : (withoutMarks(values) as Wire));
  }

  /** As the engine has it (`annotateSecrets`): what was given as a secret comes back as one. */
  private received(answer: Struct | undefined, given: Wire): Wire {
    const values: Wire = answer?.toJavaScript() ?? {};
    return this.acceptsSecrets ? values : remarked(values, given);
  }
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

/** The engine marks the outputs that the published SDK names as secret, whatever the plugin says. */
function markedBySdk(type: string, outputs: Wire): Wire {
  const [name = "", module = "", resource = ""] = type.split(":");
  const own = `${module}/${resource.charAt(0).toLowerCase()}${resource.slice(1)}`;
  const file = require.resolve(
    `@pulumi/${name}/${module.includes("/") ? module.replace("index/", "") : own}`,
  );
  const named = /additionalSecretOutputs: (\[.*?\])/.exec(fs.readFileSync(file, "utf8"))?.[1] ?? "[]";
  const isOpen = (value: unknown): boolean =>
    value !== undefined && value !== unknownValue && !isSecret(value);
  const keys = (JSON.parse(named) as string[]).filter((key) => isOpen(outputs[key]));
  return { ...outputs, ...Object.fromEntries(keys.map((key) => [key, secretOf(outputs[key])])) };
}

function struct(value: Wire): Struct {
  return Struct.fromJavaScript(value as Record<string, JavaScriptValue>);
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

function diffedOf(answer: messages.DiffResponse): Diffed {
  const kinds = ["add", "add-replace", "delete", "delete-replace", "update", "update-replace"];
  const { detaileddiffMap } = answer.toObject();
  const detailed = detaileddiffMap.map(
    ([path, { kind, inputdiff }]) => [path, `${kinds[kind]}${inputdiff ? " of input" : ""}`] as const,
  );
  return {
    changes: (["unknown", "none", "some"] as const)[answer.getChanges()],
    replaces: answer.getReplacesList(),
    diffs: answer.getDiffsList(),
    deleteBeforeReplace: answer.getDeletebeforereplace(),
    detailed: Object.fromEntries(detailed),
  };
}
