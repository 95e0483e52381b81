/** What a stack's state says of its secrets and networks, in the shapes of Docker's API. */
import { unwrapped, type RecordedResource } from "../state";

/** How long a state that was read is good for: in a refresh all ask at once. */
const FRESH_MS = 5_000;

interface Label {
  readonly label: string;
  readonly value: string;
}

interface NetworkAddresses {
  readonly subnet?: string;
  readonly gateway?: string;
  readonly ipRange?: string;
  readonly auxAddress?: Readonly<Record<string, string>>;
}

/** Outputs of Docker's provider, those of both types together. */
interface Recorded {
  readonly name: string;
  readonly labels?: readonly Label[];
  readonly driver?: string;
  readonly scope?: string;
  readonly internal?: boolean;
  readonly attachable?: boolean;
  readonly ingress?: boolean;
  readonly ipv6?: boolean;
  readonly options?: Readonly<Record<string, string>>;
  readonly ipamDriver?: string;
  readonly ipamConfigs?: readonly NetworkAddresses[];
}

type Shape = (id: string, recorded: Recorded) => object;

const shapes: Readonly<Record<string, { readonly type: string; readonly shape: Shape }>> = {
  secrets: {
    type: "docker:index/secret:Secret",
    shape: (ID, { name, labels }) => ({ ID, Spec: { Name: name, Labels: asMap(labels) } }),
  },
  networks: {
    type: "docker:index/network:Network",
    shape: (Id, { name, labels, ...network }) => ({
      Id,
      Name: name,
      Labels: asMap(labels),
      Driver: network.driver,
      Scope: network.scope,
      Internal: network.internal ?? false,
      Attachable: network.attachable ?? false,
      Ingress: network.ingress ?? false,
      EnableIPv6: network.ipv6 ?? false,
      Options: network.options ?? {},
      IPAM: { Driver: network.ipamDriver, Config: (network.ipamConfigs ?? []).map(asAddresses) },
    }),
  },
};

function asMap(labels: readonly Label[] = []): Record<string, string> {
  return Object.fromEntries(labels.map(({ label, value }) => [label, value]));
}

function asAddresses({ subnet, gateway, ipRange, auxAddress }: NetworkAddresses): object {
  return { Subnet: subnet, Gateway: gateway, IPRange: ipRange, AuxiliaryAddresses: auxAddress };
}

export class RecordedAnswers {
  private last: { readonly at: number; readonly resources: Promise<RecordedResource[]> } | undefined;

  /** @param read gives a state with its secrets. */
  constructor(private readonly read: () => Promise<RecordedResource[]>) {}

  /**
   * What Docker would answer.
   * @param path such as `/v1.41/secrets/ID`
   * @returns undefined where nothing of that id is recorded, or the state cannot be read.
   */
  async to(path: string): Promise<object | undefined> {
    const [, kind = "", id] = /\/(\w+)\/([^/]+)$/.exec(path) ?? [];
    const known = shapes[kind];
    if (known === undefined || id === undefined) return undefined;
    const resources = await this.resources().catch(() => []);
    const found = resources.find((resource) => resource.type === known.type && resource.id === id);
    return found && known.shape(id, unwrapped(found.outputs) as Recorded);
  }

  private resources(): Promise<RecordedResource[]> {
    const now = performance.now();
    if (this.last === undefined || now - this.last.at >= FRESH_MS)
      this.last = { at: now, resources: this.read() };
    return this.last.resources;
  }
}
