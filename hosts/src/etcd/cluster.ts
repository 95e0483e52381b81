/** A cluster of etcd: formed once, kept complete, each member changed only while the others hold the quorum. */
import type { EtcdClusterInputs, EtcdClusterOutputs, Operation } from "../contract";
import { diffOf } from "../diff";
import { HostError } from "../errors";
import { note, warn } from "../log";
import { readOrRecorded, withoutProvider } from "../operation";
import { ETCD_UNIT } from "../rendered";
import { exec } from "../ssh/exec";
import { Deadline, systemClock, type Clock } from "../time";
import type { EtcdClient, Listed } from "./client";
import { clientOf, lookAtCluster, type View } from "./look";
import { isBroken, nextStep, type Step } from "./plan";

/** How long a member may take before it is said what is waited for. */
const QUIET_SECONDS = 15;
/** How long nothing may help before that is believed: nodes that boot look like nodes that lost something. */
const REFUSAL_SECONDS = 10;
const PAUSE_MS = 1000;

async function ensure(inputs: EtcdClusterInputs, clock: Clock): Promise<EtcdClusterOutputs> {
  const deadline = new Deadline(inputs.timeoutSeconds, clock);
  let refusedSince: number | undefined;
  let shown = "";
  for (;;) {
    const view = await lookAtCluster(inputs);
    const step = nextStep(view);
    if (step.kind === "done") {
      for (const text of step.warnings) warn("etcd", text);
      return { ...withoutProvider(inputs), memberIds: idsOf(inputs, view) };
    }
    if (step.kind === "refused") {
      refusedSince ??= clock.now();
      if (clock.now() - refusedSince >= REFUSAL_SECONDS * 1000) throw new Error(`etcd: ${step.detail}`);
    } else {
      refusedSince = undefined;
      if (deadline.passed) throw new Error(tooLate(inputs, step));
      if (step.kind !== "wait") await attempt(inputs, view, step);
      else if (step.detail !== shown && deadline.elapsed >= QUIET_SECONDS) {
        note("etcd", step.detail);
        shown = step.detail;
      }
    }
    await clock.sleep(PAUSE_MS);
  }
}

function tooLate({ timeoutSeconds }: EtcdClusterInputs, step: Step): string {
  const what = "detail" in step ? step.detail : `the last step was to ${step.kind}`;
  return (
    `etcd is not whole after ${timeoutSeconds} s: ${what}. See \`journalctl -u ${ETCD_UNIT}\` on the node named, and run ` +
    "again: what is done already stays"
  );
}

/** An election, or a member that went away meanwhile: the next look decides anew. */
async function attempt(inputs: EtcdClusterInputs, view: View, step: Step): Promise<void> {
  try {
    await act(inputs, view, step);
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    warn("etcd", error.message);
  }
}

async function act(inputs: EtcdClusterInputs, view: View, step: Step): Promise<void> {
  switch (step.kind) {
    case "form":
      note("etcd", `forming a cluster of ${Object.keys(inputs.members).join(", ")}`);
      await Promise.all(step.nodes.map((node) => onNode(inputs, node, "admit", "new", founders(inputs))));
      return;
    case "remove":
      note("etcd", `removing ${step.name} (${step.id}) from the cluster`);
      return serving(inputs, view).remove(step.id);
    case "add":
      note("etcd", `adding ${step.node} to the cluster`);
      return admit(inputs, step.node, await serving(inputs, view).add(peerUrlOf(inputs, step.node)));
    case "admit":
      return admit(inputs, step.node, await serving(inputs, view).members());
    case "aside":
      warn(step.node, `its etcd data ${unusable(step.broken)}; they are put aside`);
      return onNode(inputs, step.node, "aside", ...(step.broken === undefined ? [] : ["broken"]));
    case "move":
      return serving(inputs, view).move(step.id, peerUrlOf(inputs, step.node));
    case "restart":
      note(step.node, "restarting etcd with its new settings");
      return onNode(inputs, step.node, "restart");
    case "settle":
      await Promise.all(step.nodes.map((node) => onNode(inputs, node, "settle")));
      return;
    case "wait":
    case "done":
    case "refused":
      return;
    default:
      return step satisfies never;
  }
}

const unusable = (broken: string | undefined): string =>
  broken === undefined
    ? "are of a member that the cluster does not have"
    : `cannot be read (${broken}), and it becomes a new member`;

/** One of the nodes' own words about its member, see the script there. */
async function onNode(inputs: EtcdClusterInputs, node: string, ...verb: string[]): Promise<void> {
  const member = inputs.members[node];
  if (!member) throw new Error(`${node} is no member of etcd`);
  await exec(member.connection, ["sh", inputs.script, ...verb], {
    sudo: true,
    timeoutSeconds: 90,
    purpose: `etcd's member: ${verb[0] ?? ""}`,
  });
}

const admit = (inputs: EtcdClusterInputs, node: string, listed: readonly Listed[]): Promise<void> =>
  onNode(inputs, node, "admit", "existing", clusterOf(inputs, node, listed));

function serving(inputs: EtcdClusterInputs, view: View): EtcdClient {
  const member = view.members.find(({ healthy }) => healthy);
  if (!member) throw new HostError("etcd", "no member serves");
  return clientOf(inputs, member.node, member.formerUrl);
}

function peerUrlOf({ members }: EtcdClusterInputs, node: string): string {
  return members[node]?.peerUrl ?? "";
}

const founders = ({ members }: EtcdClusterInputs): string =>
  Object.entries(members)
    .map(([node, { peerUrl }]) => `${node}=${peerUrl}`)
    .join(",");

/** All members as the cluster lists them; the one that is to start has no name there yet. */
function clusterOf(inputs: EtcdClusterInputs, node: string, listed: readonly Listed[]): string {
  const own = peerUrlOf(inputs, node);
  return listed
    .flatMap(({ name, peerUrls }) => peerUrls.map((url) => `${url === own ? node : name}=${url}`))
    .join(",");
}

function idsOf({ members }: EtcdClusterInputs, { listed = [] }: View): Record<string, string> {
  const ids = listed.filter(({ name }) => members[name]).map(({ name, id }) => [name, id] as const);
  return Object.fromEntries(ids.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** A member that is positively gone, or whose data are broken while others hold the quorum, is shown as drift, so that an update brings it back. */
async function read(state: EtcdClusterOutputs): Promise<EtcdClusterOutputs> {
  const view = await lookAtCluster(state);
  if (view.members.every(({ facts }) => !facts)) {
    throw new HostError("etcd", view.members.map(({ node, why }) => `${node}: ${why}`).join("; "));
  }
  const lost = view.members.filter((member) => {
    const { node, facts, why } = member;
    if (!facts) warn(node, `etcd's member was not looked at: ${why}`);
    if (!view.listed) return facts?.data === false;
    if (isBroken(member)) warn(node, `etcd cannot read its data: ${facts?.broken ?? ""}`);
    const unlisted = !view.listed.some(({ name }) => name === node);
    return facts && (facts.data === false || unlisted || isBroken(member));
  });
  const memberIds = view.listed === undefined ? state.memberIds : idsOf(state, view);
  if (lost.length === 0) return { ...state, memberIds };
  return { ...state, memberIds, fingerprint: `lost: ${lost.map(({ node }) => node).join(", ")}` };
}

/**
 * Waits until every member that can be reached serves. Without members it forms a cluster; one that lost its data,
 * or cannot read them, is replaced; one that has other settings is restarted. With the quorum lost it changes nothing.
 */
export const etcdClusterBy = (clock: Clock): Operation<EtcdClusterInputs, EtcdClusterOutputs> => ({
  async create(inputs) {
    return { id: "etcd", outs: await ensure(inputs, clock) };
  },
  read(id, state) {
    return readOrRecorded("etcd", id, state, async () => ({ id, outs: await read(state) }));
  },
  diff(state, inputs) {
    return diffOf(state, inputs, { outputOnly: ["memberIds"] });
  },
  update(_id, _state, inputs) {
    return ensure(inputs, clock);
  },
  /** What stops members is that their units go; their data stay on the nodes. */
  delete() {
    return Promise.resolve();
  },
});

export const etcdCluster = etcdClusterBy(systemClock);
