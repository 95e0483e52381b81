/** A NAT network and its port forwards. */
import type { Connection, Operation } from "../contract";
import { diffOf, equal } from "../diff";
import { HostError } from "../errors";
import { note } from "../log";
import { readOrRecorded, recording, unlessUnreachable, withoutProvider } from "../operation";
import { bootId } from "../reboot";
import { brief } from "../ssh/connect";
import type { NamedForward, NatNetworkInputs, NatNetworkOutputs, PortForward } from "./contract";
import { Manage } from "./manage";
import { networkKey, notOurs, readMark, writeMark } from "./mark";
import { parseNatNetworks } from "./parse";
import type { ListedNetwork } from "./parse";
import { nameOf } from "./run";
import { natNetworkListing } from "./version";

async function listed(manage: Manage, name: string): Promise<ListedNetwork | undefined> {
  const output = await manage.run(natNetworkListing(manage.version), { purpose: "listing the NAT networks" });
  return parseNatNetworks(output).find((one) => one.name === name);
}

function change(
  manage: Manage,
  verb: string,
  name: string,
  args: string[],
  purpose: string,
): Promise<string> {
  return manage.run(["natnetwork", verb, "--netname", name, ...args], { purpose });
}

async function ensure(inputs: NatNetworkInputs): Promise<NatNetworkOutputs> {
  const { hypervisor, name, stack, subnet, dhcp } = inputs;
  const manage = await Manage.on(hypervisor);
  const known = await listed(manage, name);
  const key = networkKey(name);
  const owner = await readMark(manage, "global", key);
  if (known && owner !== stack)
    throw notOurs(manage, "NAT network", name, { target: "global", key, stack }, owner);
  const settings = ["--network", subnet, "--enable", "--dhcp", dhcp ? "on" : "off"];
  if (!known) {
    // The mark first: what stands there without one could never be told from somebody else's.
    await writeMark(manage, "global", key, stack);
    await change(manage, "add", name, settings, `making the NAT network ${name}`);
    note(manage.name, `NAT network ${name} is ${subnet}`);
  } else if (known.subnet !== subnet || known.dhcp !== dhcp || !known.enabled) {
    await change(manage, "stop", name, [], `stopping the NAT network ${name}`);
    await change(manage, "modify", name, settings, `changing the NAT network ${name}`);
    note(manage.name, `NAT network ${name} is ${subnet} now, DHCP ${dhcp ? "on" : "off"}`);
  }
  await forward(manage, name, known?.forwards ?? {}, await forNow(inputs, known?.forwards ?? {}));
  await change(manage, "start", name, [], `starting the NAT network ${name}`);
  return withoutProvider(inputs);
}

/** What is wanted, but where a system of ours is not at its new address yet: it would be cut off before it can move. */
async function forNow(
  { name, forwards, systems = {}, hypervisor }: NatNetworkInputs,
  known: Record<string, PortForward>,
): Promise<Record<string, PortForward>> {
  const rules = Object.entries(forwards).map(async ([rule, to]) => {
    const [now, system] = [known[rule], systems[rule]];
    const moves =
      now !== undefined && now.address !== to.address && equal({ ...now, address: to.address }, to);
    if (!moves || system === undefined || !(await answers(system))) return [rule, to] as const;
    const port = `port ${to.port} of NAT network ${name}`;
    note(nameOf(hypervisor), `${port} leads to ${system.node} at ${now.address} until it is installed anew`);
    return [rule, now] as const;
  });
  return Object.fromEntries(await Promise.all(rules));
}

function answers(system: Connection): Promise<boolean> {
  return bootId(system, brief).then(
    () => true,
    (error: unknown) => {
      if (!(error instanceof HostError)) throw error;
      return false;
    },
  );
}

/** Leads one forward of a network to where it is wanted; in a network that is not there, nothing. */
export async function leadTo(manage: Manage, { network, name, to }: NamedForward): Promise<void> {
  const known = await listed(manage, network);
  if (!known) return;
  const one = known.forwards[name];
  await forward(manage, network, one ? { [name]: one } : {}, { [name]: to });
}

/** One by one, so that forwards which stay are not interrupted. */
async function forward(
  manage: Manage,
  name: string,
  known: Record<string, PortForward>,
  wanted: Record<string, PortForward>,
): Promise<void> {
  const stale = Object.keys(known).filter((rule) => !equal(known[rule], wanted[rule]));
  for (const rule of stale) {
    const args = ["--port-forward-4", "delete", rule];
    await change(manage, "modify", name, args, `taking the forward ${rule} away`);
  }
  for (const [rule, to] of Object.entries(wanted)) {
    if (equal(known[rule], to)) continue;
    const text = `${rule}:tcp:[${to.listen}]:${to.port}:[${to.address}]:${to.targetPort}`;
    await change(manage, "modify", name, ["--port-forward-4", text], `adding the forward ${rule}`);
    note(manage.name, `port ${to.port} leads to ${to.address}:${to.targetPort}`);
  }
}

/** `delete` takes it away with its forwards; guests keep their cable in a network that is not there. */
export const natNetwork: Operation<NatNetworkInputs, NatNetworkOutputs> = {
  async create(inputs) {
    const id = inputs.name;
    return { id, outs: await recording(id, inputs, () => ensure(inputs)) };
  },
  read(id, state) {
    return readOrRecorded(nameOf(state.hypervisor), id, state, async () => {
      const manage = await Manage.on(state.hypervisor, { patience: brief });
      const known = await listed(manage, state.name);
      if (!known || (await readMark(manage, "global", networkKey(state.name))) !== state.stack)
        return undefined;
      const { dhcp, forwards } = known;
      return {
        id,
        outs: {
          ...state,
          subnet: known.enabled ? known.subnet : `${known.subnet} (disabled)`,
          dhcp,
          forwards,
        },
      };
    });
  },
  diff(state, inputs) {
    return diffOf(state, inputs, { ignored: ["systems"], replace: ["name"] });
  },
  update(_id, _state, inputs) {
    return ensure(inputs);
  },
  async delete(_id, { hypervisor, name, stack }) {
    await unlessUnreachable(nameOf(hypervisor), `its NAT network ${name} stays`, async () => {
      const manage = await Manage.on(hypervisor);
      const key = networkKey(name);
      if ((await readMark(manage, "global", key)) !== stack) return;
      if (await listed(manage, name)) {
        await change(manage, "stop", name, [], `stopping the NAT network ${name}`);
        await change(manage, "remove", name, [], `removing the NAT network ${name}`);
      }
      await writeMark(manage, "global", key);
    });
  },
};
