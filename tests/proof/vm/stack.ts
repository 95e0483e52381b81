import type { Connection, PreflightInputs, SwarmMemberInputs } from "@moorage/hosts";
import { describeNode } from "@moorage/render";
import { userDataModel } from "../../../config/models";
import { parseStackConfig } from "../../../config/stack";
import { rawConfig } from "../../component/parts";
import { program } from "../../component/program";
import { plain } from "../../support/mocks";
import type { RawConfig } from "../../support/stacks";

/** Where the overlay's traffic goes. Its MTU is smaller than the 1500 that Docker takes it for. */
export const vlan = { name: "v3000", id: 3000, mtu: 1400 } as const;

/** An overlay network as the program has Docker's provider make it. */
export interface NetworkInputs {
  readonly name: string;
  readonly driver: string;
  readonly options: Readonly<Record<string, string>>;
  readonly ipamConfigs: readonly { readonly subnet: string; readonly gateway: string }[];
}

/**
 * A stack of four nodes on `eth1`, with the overlay's traffic in a VLAN. Two of them are machines; what the other two
 * are wanted for, quorums, is no matter here.
 */
function rawMachines(): RawConfig {
  return rawConfig((raw) => {
    raw.network = { subnet: "10.30.0.0/24" };
    raw.edge = { vip: "10.30.0.10" };
    raw.etcd = { enabled: false };
    const nodes = Object.entries(raw.nodes ?? {}) as [string, Record<string, unknown>][];
    for (const [at, [name, node]] of nodes.entries()) {
      node.address = `10.30.0.${11 + at}`;
      node.interface = "eth1";
      node.vlans = { [vlan.name]: { id: vlan.id, mtu: vlan.mtu, address: `${vlanAddress(name)}/24` } };
      node.advertiseAddr = vlanAddress(name);
      node.dataDisk = `/dev/disk/by-id/virtio-${name}-data`;
    }
  });
}

/** A node's address in the VLAN. */
export function vlanAddress(node: string): string {
  return `10.31.0.1${node.slice("coreos".length)}`;
}

/** The files of networkd that a node is installed with: path to text. */
export function networkFiles(node: string): Record<string, string> {
  const keys = { hostKey: { privateKey: "", publicKey: "" }, authorizedKey: "", passwordHashes: {} };
  const { files } = describeNode(userDataModel(parseStackConfig(rawMachines()), node, keys), {
    installHash: "",
  });
  const units = files.filter(({ path }) => path.startsWith("/etc/systemd/network/"));
  return Object.fromEntries(units.map(({ path, content }) => [path, content]));
}

/** What the program would do with this stack, as far as two machines can carry it. */
export class Stack {
  private constructor(private readonly inputsOf: (name: string) => unknown) {}

  static async run(): Promise<Stack> {
    const recorder = await program(rawMachines());
    return new Stack((name) => plain(recorder.named(name).inputs));
  }

  /** Its look at these nodes. */
  preflight(connections: Readonly<Record<string, Connection>>): PreflightInputs {
    const inputs = this.inputsOf("fleet-preflight") as PreflightInputs;
    const hosts = Object.entries(connections).map(([name, target]) => {
      const host = inputs.hosts[name];
      if (host === undefined) throw new Error(`the preflight looks at no ${name}`);
      return [name, { ...host, target, installer: undefined }];
    });
    return { ...inputs, hosts: Object.fromEntries(hosts) as PreflightInputs["hosts"] };
  }

  /** A node's membership, with the one manager there is. */
  member(connection: Connection, manager: Connection): SwarmMemberInputs {
    const inputs = this.inputsOf(`swarm-${connection.node}`) as SwarmMemberInputs;
    return { ...inputs, connection, managers: [manager] };
  }

  network(): NetworkInputs {
    return this.inputsOf("swarm-services") as NetworkInputs;
  }
}
