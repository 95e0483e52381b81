import { createHash } from "node:crypto";
import * as pulumi from "@pulumi/pulumi";
import type {
  RegisterResourceOutputsRequest,
  RegisterResourceRequest,
} from "@pulumi/pulumi/proto/resource_pb";
import type { MockMonitor } from "@pulumi/pulumi/runtime/mocks";
import { mapTracesOfErrorsAlone } from "../../components/traces";

mapTracesOfErrorsAlone();
const { stackTraceLimit } = Error;

type Properties = Record<string, unknown>;

/** A resource as the program registered it. */
export interface Registered {
  readonly type: string;
  readonly name: string;
  /** As sent to the engine: secrets are wrapped where they stand, and what is unknown holds a mark. */
  readonly inputs: Properties;
  /** Names of the resources around it and before it; the parent's is empty at the root. */
  readonly parent: string;
  readonly provider: string;
  readonly dependencies: readonly string[];
  readonly custom: boolean;
  readonly protect: boolean;
  /** Inputs that are no reason for a change, and those that are for a new resource. */
  readonly ignoreChanges: readonly string[];
  readonly replaceOnChanges: readonly string[];
}

export interface RecorderOptions {
  /** Answers as the preview of a stack that has nothing yet: what only providers can tell is unknown. */
  readonly firstPreview?: boolean;
  /** Nodes that the update reinstalls. */
  readonly row?: readonly string[];
}

/**
 * Registers resources without an engine: every output is its input, and what providers would make is made up.
 *
 * Pulumi's own mocks are told of a resource's inputs after secrets inside them were moved to the top, and never
 * of its parent, so requests are recorded before the mocks see them. What a resource says of its secret outputs
 * is done here, as the engine would.
 */
export class Recorder implements pulumi.runtime.Mocks {
  readonly resources: Registered[] = [];
  /** What components, and the stack, registered as their outputs, by their names. */
  readonly outputs = new Map<string, Properties>();
  private readonly urns = new Set<string>();
  private arriving?: { readonly registered: Registered; readonly secretOutputs: string[] };

  constructor(private readonly options: RecorderOptions = {}) {}

  /** Installs this recorder as the engine of a preview of stack `dev` of project `moorage`. */
  async install(): Promise<this> {
    // Pulumi takes a trace at each promise, which would be a third of a run's time.
    Error.stackTraceLimit = 0;
    await pulumi.runtime.setMocks(this, "moorage", "dev", true, "organization");
    const monitor = pulumi.runtime.getMonitor() as unknown as MockMonitor;
    const { registerResource, registerResourceOutputs } = monitor;
    monitor.registerResource = (request: RegisterResourceRequest, callback) => {
      this.arriving = arrived(request);
      return registerResource.call(monitor, request, callback);
    };
    monitor.registerResourceOutputs = (request: RegisterResourceOutputsRequest, callback) => {
      this.outputs.set(nameOf(request.getUrn()), request.getOutputs()?.toJavaScript() ?? {});
      return registerResourceOutputs.call(monitor, request, callback);
    };
    return this;
  }

  /**
   * Waits until all that the program began to register is registered. What comes later, or cannot be registered,
   * is a rejection that nothing handles, which ends the test run with an error.
   */
  async settled(): Promise<this> {
    await pulumi.runtime.disconnect();
    const closed = ({ name }: { name: string }): never => {
      throw new Error(`${name} came after everything was registered`);
    };
    await pulumi.runtime.setMocks({ newResource: closed, call: this.call }, "moorage", "dev", true);
    Error.stackTraceLimit = stackTraceLimit;
    return this;
  }

  newResource(): pulumi.runtime.MockResourceResult {
    if (!this.arriving) throw new Error("a resource that nothing registered");
    const { registered, secretOutputs } = this.arriving;
    this.arriving = undefined;
    this.add(registered);
    const state = { ...registered.inputs, ...(registered.custom ? this.madeUp(registered) : {}) };
    for (const key of secretOutputs.filter((one) => one in state)) {
      state[key] = pulumi.secret(state[key]);
    }
    const known = registered.custom && !this.options.firstPreview;
    return { id: known ? `${registered.name}-id${suffix(registered)}` : undefined, state };
  }

  call(args: pulumi.runtime.MockCallArgs): never {
    throw new Error(`the program calls ${args.token}, for which there is no answer`);
  }

  /** The one custom resource of this name. */
  named(name: string): Registered {
    const found = this.resources.filter((one) => one.custom && one.name === name);
    const [only] = found;
    if (!only || found.length > 1) {
      throw new Error(
        `${found.length} resources ${name} in ${this.resources.map((one) => one.name).join(", ")}`,
      );
    }
    return only;
  }

  ofType(type: string): Registered[] {
    return this.resources.filter((one) => one.type.endsWith(type));
  }

  /** Type and name of each child of a component, sorted. */
  children(parent: string): string[] {
    return this.resources
      .filter((one) => one.parent === parent)
      .map((one) => `${one.type.split(":").at(-1)} ${one.name}`)
      .sort();
  }

  private add(registered: Registered): void {
    const urn = [registered.type, registered.name].join(" ");
    if (this.urns.has(urn)) throw new Error(`${urn} is there twice`);
    this.urns.add(urn);
    this.resources.push(registered);
  }

  private madeUp(one: Registered): Properties {
    const name = one.inputs.name ?? `${one.name}${suffix(one)}`;
    return this.options.firstPreview ? { name } : { name, ...answers(one, this.options.row) };
  }
}

function arrived(request: RegisterResourceRequest) {
  const inputs = request.getObject()?.toJavaScript() ?? {};
  // The provider's own code, which a test of its own reads.
  delete inputs.__provider;
  const registered: Registered = {
    type: request.getType(),
    name: request.getName(),
    inputs,
    parent: nameOf(request.getParent()),
    // A reference is the provider's URN and its id.
    provider: nameOf(request.getProvider().split("::").slice(0, -1).join("::")),
    dependencies: [...new Set(request.getDependenciesList().map(nameOf))].sort(),
    custom: request.getCustom(),
    protect: request.getProtect() ?? false,
    ignoreChanges: request.getIgnorechangesList(),
    replaceOnChanges: request.getReplaceonchangesList(),
  };
  return { registered, secretOutputs: request.getAdditionalsecretoutputsList() };
}

function nameOf(urn: string): string {
  return urn.split("::").at(-1) ?? "";
}

/** Docker's secrets cannot change: with other content they are others. */
function suffix({ type, inputs }: Registered): string {
  if (!/^docker:.*:Secret$/.test(type)) return "";
  return `-${createHash("sha256").update(JSON.stringify(inputs)).digest("hex").slice(0, 8)}`;
}

/** Whatever is private contains the word `private`. */
function answers({ type, name }: Registered, row: readonly string[] = []): Properties {
  switch (type) {
    case "tls:index/privateKey:PrivateKey":
      return {
        privateKeyOpenssh: `private ${name}`,
        privateKeyPem: `private ${name}`,
        publicKeyOpenssh: `ssh-ed25519 ${name}\n`,
      };
    case "tls:index/selfSignedCert:SelfSignedCert":
    case "tls:index/locallySignedCert:LocallySignedCert":
      return { certPem: `certificate ${name}` };
    case "tls:index/certRequest:CertRequest":
      return { certRequestPem: `request ${name}` };
    case "command:local:Command":
      return { stdout: `$6$salt$private ${name}\n`, stderr: "" };
    case "random:index/randomPassword:RandomPassword":
      return { result: `private ${name}`, bcryptHash: `private hash ${name}` };
    case "random:index/randomId:RandomId":
      return { hex: "0123456789abcdef" };
    case "pulumi-nodejs:dynamic/moorage:EtcdCluster":
      return { memberIds: { coreos1: "8e9e05c52164694d" } };
    case "pulumi-nodejs:dynamic/moorage:SwarmMember":
      return { nodeId: `id of ${name}` };
    case "pulumi-nodejs:dynamic/moorage:Preflight":
      return { findings: {}, row };
    case "pulumi-nodejs:dynamic/moorage:Installation":
      return { firstBootId: `boot of ${name}` };
    case "pulumi-nodejs:dynamic/moorage:IsoImage":
      return { file: `/vms/${name}.iso`, fileSha256: `sha256 of ${name}` };
    case "pulumi-nodejs:dynamic/moorage:Guest":
      return { uuid: `uuid of ${name}` };
    case "pulumi-nodejs:dynamic/moorage:AcceptanceChecks":
      return { report: [{ name: "push", passed: true }] };
    default:
      return {};
  }
}

/** What `pulumi stack export` would have of all that was registered. */
export function stateOf({ resources }: Recorder) {
  return resources.map((one) => ({
    urn: `urn:pulumi:dev::moorage::${one.type}::${one.name}`,
    type: one.type,
    inputs: one.inputs,
    outputs: { ...one.inputs, ...answers(one) },
  }));
}

/** A value of the wire without the wrappings of its secrets. */
export function plain(value: unknown): unknown {
  return walk(value, [], (inner) => inner);
}

/** A value of the wire as a preview shows it. */
export function shown(value: unknown): unknown {
  return walk(value, [], () => "[secret]");
}

/** Where secrets begin in a value of the wire; names that hold dots stand in brackets. */
export function secretPaths(value: unknown): string[] {
  const paths: string[] = [];
  walk(value, [], (_inner, path) => void paths.push(path));
  return paths;
}

/** Where a value of the wire, secrets included, is not known yet. */
export function unknownPaths(value: unknown): string[] {
  const paths: string[] = [];
  walk(
    value,
    [],
    (inner) => inner,
    (path) => void paths.push(path),
  );
  return paths;
}

/** What a Docker secret holds. */
export function contentOf({ inputs }: Registered): string {
  return Buffer.from(String(plain(inputs.data)), "base64").toString("utf8");
}

function walk(
  value: unknown,
  path: readonly string[],
  secret: (inner: unknown, path: string) => unknown,
  unknown: (path: string) => void = () => undefined,
): unknown {
  if (pulumi.runtime.isRpcSecret(value)) {
    const inner: unknown = pulumi.runtime.unwrapRpcSecret(value);
    return walk(secret(inner, path.join(".")), path, secret, unknown);
  }
  if (value === pulumi.runtime.unknownValue) unknown(path.join("."));
  if (typeof value !== "object" || value === null) return value;
  const inside = Object.entries(value).map(([key, inner]): [string, unknown] => [
    key,
    walk(inner, [...path, key.includes(".") ? `[${key}]` : key], secret, unknown),
  ]);
  return Array.isArray(value) ? inside.map(([, inner]) => inner) : Object.fromEntries(inside);
}
