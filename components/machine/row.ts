import * as pulumi from "@pulumi/pulumi";
import type { NodeConfig } from "../../config/nodes";

/** Names of all nodes; the first of them founds the Swarm. */
export function managersFirst(nodes: Readonly<Record<string, Pick<NodeConfig, "roles">>>): string[] {
  const isManager = (name: string) => nodes[name]?.roles.includes("manager") === true;
  const names = Object.keys(nodes);
  return [...names.filter(isManager), ...names.filter((name) => !isManager(name))];
}

/** What a node consists of, as far as a row of reinstallations waits for it. */
interface Parts {
  /** Its files and images are there. */
  readonly ready: pulumi.Resource[];
  /** It is back in service, with all that is on it. */
  readonly back: pulumi.Resource[];
}

/**
 * The order in which nodes are reinstalled, drawn by edges between resources: an operation that waited itself would
 * take a place from what it waits for. A first preview, and a first update, have no row.
 */
export class ReinstallationRow {
  private readonly parts = new Map<string, Promise<Parts>>();
  private readonly found = new Map<string, (parts: Parts) => void>();
  private readonly names: pulumi.Output<readonly string[]>;

  /**
   * @param order all nodes, the Swarm's founder first: everybody's membership follows the founder's
   * @param row names of those that are reinstalled
   */
  constructor(
    private readonly order: readonly string[],
    row: pulumi.Output<readonly string[] | undefined>,
  ) {
    this.names = row.apply((names) => names ?? []);
    for (const node of order) {
      this.parts.set(node, new Promise((resolve) => this.found.set(node, resolve)));
    }
  }

  /** Whether the node is in the row. */
  has(node: string): pulumi.Output<boolean> {
    return this.names.apply((names) => names.includes(node));
  }

  /** To be called of every node, once all its resources are there. */
  consistsOf(node: string, parts: Parts): void {
    this.found.get(node)?.(parts);
  }

  /** What the installation of a node comes after, besides `always`. */
  before(node: string, always: pulumi.Resource[]): pulumi.Output<pulumi.Resource[]> {
    return this.names.apply(async (names) => {
      if (!names.includes(node)) return always;
      const row = this.order.filter((name) => names.includes(name));
      const earlier = await this.partsOf(row.slice(0, row.indexOf(node)));
      // Their Docker may have to be restarted, which takes a Swarm that is whole.
      const others = await this.partsOf(this.order.filter((name) => !names.includes(name)));
      return [...always, ...others.flatMap(({ ready }) => ready), ...earlier.flatMap(({ back }) => back)];
    });
  }

  private partsOf(nodes: readonly string[]): Promise<Parts[]> {
    return Promise.all(nodes.flatMap((node) => this.parts.get(node) ?? []));
  }
}
