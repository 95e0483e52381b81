import { spawn, type ChildProcess } from "node:child_process";
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

/** One plugin, spoken to as the engine does. */
export class Plugin {
  /** What it told the engine to print. */
  readonly said: string[] = [];

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
    const answer = await ask<messages.CheckResponse>((done) => this.client.checkConfig(check, done));
    const request = new messages.ConfigureRequest();
    request.setArgs(answer.getInputs() ?? struct({}));
    for (const [key, value] of Object.entries(settings)) {
      request.getVariablesMap().set(`${packageName}:config:${key}`, String(value));
    }
    request.setAcceptsecrets(true);
    request.setAcceptresources(true);
    request.setSendsOldInputs(true);
    request.setSendsOldInputsToDelete(true);
    await ask<messages.ConfigureResponse>((done) => this.client.configure(request, done));
    return checkedOf(answer);
  }

  async check(type: string, news: Wire, olds: Wire = {}, name = "it"): Promise<Checked> {
    const request = new messages.CheckRequest();
    request.setUrn(urnOf(type, name));
    request.setType(type);
    request.setName(name);
    request.setOlds(struct(olds));
    request.setNews(struct(news));
    request.setRandomseed(Buffer.alloc(32, 7));
    return checkedOf(await ask<messages.CheckResponse>((done) => this.client.check(request, done)));
  }

  async create(type: string, inputs: Wire, preview = false, name = "it"): Promise<Recorded> {
    const request = new messages.CreateRequest();
    request.setUrn(urnOf(type, name));
    request.setType(type);
    request.setName(name);
    request.setProperties(struct(inputs));
    request.setPreview(preview);
    const answer = await ask<messages.CreateResponse>((done) => this.client.create(request, done));
    return { id: answer.getId(), inputs, outputs: plainOf(answer.getProperties()) };
  }

  async diff(type: string, old: Recorded, news: Wire, name = "it"): Promise<Diffed> {
    const request = new messages.DiffRequest();
    request.setUrn(urnOf(type, name));
    request.setType(type);
    request.setName(name);
    request.setId(old.id);
    request.setOlds(struct(old.outputs));
    request.setOldInputs(struct(old.inputs));
    request.setNews(struct(news));
    return diffedOf(await ask<messages.DiffResponse>((done) => this.client.diff(request, done)));
  }

  async update(type: string, old: Recorded, news: Wire, preview = false, name = "it"): Promise<Recorded> {
    const request = new messages.UpdateRequest();
    request.setUrn(urnOf(type, name));
    request.setType(type);
    request.setName(name);
    request.setId(old.id);
    request.setOlds(struct(old.outputs));
    request.setOldInputs(struct(old.inputs));
    request.setNews(struct(news));
    request.setPreview(preview);
    const answer = await ask<messages.UpdateResponse>((done) => this.client.update(request, done));
    return { id: old.id, inputs: news, outputs: plainOf(answer.getProperties()) };
  }

  /** What a refresh finds; an empty id where there is nothing any more. */
  async read(type: string, old: Recorded, name = "it"): Promise<Recorded> {
    const request = new messages.ReadRequest();
    request.setUrn(urnOf(type, name));
    request.setType(type);
    request.setName(name);
    request.setId(old.id);
    request.setProperties(struct(old.outputs));
    request.setInputs(struct(old.inputs));
    const answer = await ask<messages.ReadResponse>((done) => this.client.read(request, done));
    return {
      id: answer.getId(),
      inputs: plainOf(answer.getInputs()),
      outputs: plainOf(answer.getProperties()),
    };
  }

  async delete(type: string, old: Recorded, name = "it"): Promise<void> {
    const request = new messages.DeleteRequest();
    request.setUrn(urnOf(type, name));
    request.setType(type);
    request.setName(name);
    request.setId(old.id);
    request.setProperties(struct(old.outputs));
    request.setOldInputs(struct(old.inputs));
    await ask<Empty>((done) => this.client.delete(request, done));
  }
}

/** The URN of a resource of the lab's stack. */
export function urnOf(type: string, name: string): string {
  return `urn:pulumi:dev::moorage::${type}::${name}`;
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
