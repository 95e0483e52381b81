/** A configuration that has mistakes, filled up until names can be made of it. For nothing else: some of it is made up. */
import { etcdFields } from "./etcd";
import { network, swarm } from "./machine";
import { defaultInterface, node } from "./nodes";
import { osKeys } from "./os";
import { edge } from "./services";
import type { StackConfig } from "./stack";
import { fieldsOf, type Understood } from "./understood";

/** Of addresses that nobody has, so that what is made of them is nobody's name. */
const subnet = "192.0.2.0/24";
const address = "192.0.2.1";

/** What is right stays; nothing where not even the platform is known, which decides what the program makes. */
export function sketchOf(known: Understood): StackConfig | undefined {
  const { platform } = known;
  if (platform === undefined) return undefined;
  const nodes = Object.entries(known.nodes).map(([name, of]) => [
    name,
    { ...fieldsOf(node, { address, roles: ["worker"] }), interface: defaultInterface(platform), ...of },
  ]);
  const sketch = {
    platform,
    nodes: Object.fromEntries(nodes) as unknown,
    os: { ...fieldsOf(osKeys, {}), ...known.os },
    network: { ...fieldsOf(network, { subnet }), ...known.network },
    edge: { ...fieldsOf(edge, { vip: address }), ...known.edge },
    swarm: { ...swarm.parse(undefined), ...known.swarm },
    etcd: { ...fieldsOf(etcdFields, {}), ...known.etcd },
    secrets: [],
  };
  return sketch as unknown as StackConfig;
}
