/** Preflight: every host is looked at in one go, and everything in the way is reported at once. */
import type { Connection, Operation, PreflightHost, PreflightInputs, PreflightOutputs } from "../contract";
import { diffOf, equal } from "../diff";
import { DATA_LABEL } from "../disk-claim";
import { HostError, HostKeyError, UnreachableError } from "../errors";
import { note, warn } from "../log";
import { withoutProvider } from "../operation";
import type { Patience } from "../ssh/connect";
import { runScript } from "../ssh/exec";
import { couldNotAsk } from "../ssh/pool";
import { within } from "../time";
import { anewFaults, endTakenBack } from "./anew";
import { dataFolderWarning } from "./data-folder";
import { dockerVersionWarning } from "./docker-version";
import { finding, mtuProblem, parseFacts, parseMark, problemsOf } from "./parse";
import type { Facts, Looked, Problem, Stage } from "./parse";
import { preflightScript } from "./script";

const patience: Patience = { attempts: 2, timeoutSeconds: 10, pauseSeconds: 1 };

type Result = { readonly looked: Looked } | { readonly problem: Problem; readonly unreachable: boolean };

async function look(
  host: PreflightHost,
  connection: Connection,
  stage: Stage,
  timeoutSeconds: number,
): Promise<Looked> {
  const disk = stage === "installer" ? (host.disk ?? "") : "";
  const args = [
    host.interface ?? "",
    disk,
    host.dataDisk ?? "",
    host.dataLabel ?? DATA_LABEL,
    host.dataDirectory ?? "",
    ...(host.nics ?? []),
  ];
  // A session first, so that the clock is not read over the time a connection takes.
  await runScript(connection, ":", [], {
    sudo: true,
    patience,
    purpose: "logging in and using sudo",
    timeoutSeconds: 20,
  });
  const before = Date.now() / 1000;
  const { stdout } = await runScript(connection, preflightScript, args, {
    sudo: true,
    patience,
    timeoutSeconds,
    purpose: "looking at the host",
  });
  const facts = parseFacts(stdout);
  return { stage, facts, skew: skewOf(facts, before, Date.now() / 1000) };
}

/** How far the host's clock is outside the time in which it was read. */
export function skewOf({ now }: Pick<Facts, "now">, before: number, after: number): number {
  if (now < before) return now - before;
  return now > after ? now - after : 0;
}

async function lookAt(host: PreflightHost, timeoutSeconds: number): Promise<Result> {
  try {
    return { looked: await look(host, host.target, "installed", timeoutSeconds) };
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    if (!host.installer || !couldNotAsk(error)) return failure(error);
    try {
      return { looked: await look(host, host.installer, "installer", timeoutSeconds) };
    } catch (second) {
      if (!(second instanceof HostError)) throw second;
      if (error instanceof HostKeyError && second instanceof HostKeyError) return stranger(host);
      return failure(second, `; nor is the installed system there: ${said(error)}`);
    }
  }
}

/** A host that some other stack installed, an earlier one of the same name as a rule, whose disk the next one may take. */
function stranger({ target, disk = "its system disk" }: PreflightHost): Result {
  const problem = {
    what: `by its host key, what answers at ${target.host}:${target.port} is neither the live installer nor a system that this stack installed`,
    advice:
      `where an earlier stack of this name installed it, boot its live installer, which takes ${disk} for this node's own; ` +
      "where another one did, and nothing of it is needed, the live installer tells what to name in " +
      `\`nodes.${target.node}.erasableDisk\`. Its data disk is kept. ` +
      "A physical machine's live system that was not told its key looks the same: docs/metal.md. " +
      "Else somebody else answers at this address",
  };
  return { problem, unreachable: false };
}

function failure(error: HostError, more = ""): Result {
  const what = said(error) + more;
  const unreachable = error instanceof UnreachableError;
  const advice = unreachable
    ? "switch it on, and check its address and port in the configuration"
    : "set that right, and run again";
  return { problem: { what, advice }, unreachable };
}

/** An error as part of a sentence: its node is named before it, and what to do about a silent host after it. */
function said(error: HostError): string {
  const text = error.message.replace(`${error.node}: `, "");
  return (error instanceof UnreachableError ? (text.split("\n")[0] ?? "") : text).replace(/\.$/, "");
}

/** Looks at all hosts. Of those whose settings are as they were in `before`, it is no problem that one is off now. */
async function run(inputs: PreflightInputs, before?: PreflightInputs): Promise<PreflightOutputs> {
  const { hosts, timeoutSeconds } = inputs;
  note("preflight", `looking at ${Object.keys(hosts).length} hosts`);
  const results = await Promise.all(
    Object.entries(hosts).map(async ([name, host]) => {
      const timedOut: Result = {
        problem: {
          what: `was not looked at within ${timeoutSeconds} s`,
          advice: "see on its console whether it hangs",
        },
        unreachable: true,
      };
      const result = await within(timeoutSeconds, lookAt(host, timeoutSeconds), () => new Error()).catch(
        (error: unknown) => {
          if (error instanceof Error && error.message === "") return timedOut;
          throw error;
        },
      );
      return [name, result] as const;
    }),
  );
  const looked = new Map(
    results.flatMap(([name, result]) => ("looked" in result ? [[name, result.looked] as const] : [])),
  );
  const faults = await anewFaults(before, inputs, looked);
  const outs = judge(inputs, before, new Map(results), faults);
  await endTakenBack(before, inputs, looked);
  return outs;
}

function judge(
  inputs: PreflightInputs,
  before: PreflightInputs | undefined,
  results: ReadonlyMap<string, Result>,
  faults: readonly string[],
): PreflightOutputs {
  const clusters = clustersOf([...results.values()]);
  const lines: string[] = [];
  const findings: Record<string, string> = {};
  const mtus: Record<string, number> = {};
  for (const [name, host] of Object.entries(inputs.hosts)) {
    const result = results.get(name);
    if (result === undefined) continue;
    if ("problem" in result) {
      if (result.unreachable && before && isSame(before.hosts[name], host)) {
        warn(name, `not looked at: ${result.problem.what}`);
        findings[name] = "not reached now";
      } else lines.push(line(name, result.problem));
      continue;
    }
    const problems = problemsOf(host, result.looked, inputs, clusters, before);
    lines.push(...problems.map((problem) => line(name, problem)));
    findings[name] = finding(result.looked);
    const { dataFolder, docker } = result.looked.facts;
    const warnings = [
      dataFolder && dataFolderWarning(host.dataDirectory ?? "", dataFolder),
      docker && dockerVersionWarning(docker.version),
    ];
    for (const warning of warnings) if (warning !== undefined) warn(name, warning);
    const { mtu } = result.looked.facts;
    if (mtu !== undefined && !setsMtu(before?.hosts[name], host, result.looked.stage)) mtus[name] = mtu;
  }
  lines.push(...faults);
  const mtu = mtuProblem(mtus);
  if (mtu !== undefined) lines.push(`  all nodes: ${mtu}`);
  if (lines.length > 0) {
    throw new Error(
      `preflight found ${lines.length} problem${lines.length === 1 ? "" : "s"}; nothing was touched:\n${lines.join("\n")}`,
    );
  }
  return { ...withoutProvider(inputs), findings };
}

/** Whether the MTU that was found is not the one that the node will have once this update is through. */
function setsMtu(before: PreflightHost | undefined, host: PreflightHost, stage: Stage): boolean {
  return stage === "installer" || host.mtu !== undefined || before?.mtu !== undefined;
}

/** The guest is asked for only before a reinstallation. */
const withoutGuest = (host: PreflightHost | undefined) => host && { ...host, guest: undefined };

/** What a host was looked at by. Its MTU is set later in the update, by whatever reaches it then. */
const lookedAt = (host: PreflightHost) => ({ ...host, guest: undefined, mtu: undefined });

/** Older stacks have recorded no folder for objects where there was one. */
const isSame = (before: PreflightHost | undefined, host: PreflightHost): boolean =>
  before !== undefined && equal(lookedAt({ dataDirectory: host.dataDirectory, ...before }), lookedAt(host));

/** In a preview, hosts may not be known yet. */
function withoutGuests<Inputs extends PreflightInputs>(inputs: Inputs): Inputs {
  if (typeof inputs.hosts !== "object") return inputs;
  const hosts = Object.entries(inputs.hosts).map(([name, host]) => [name, withoutGuest(host)]);
  return { ...inputs, hosts: Object.fromEntries(hosts) as Inputs["hosts"] };
}

function line(name: string, { what, advice }: Problem): string {
  return `  ${name}: ${what}. To do: ${advice}`;
}

/** Clusters that hosts' own marks name. */
function clustersOf(results: readonly Result[]): Set<string> {
  const marks = results.flatMap((result) =>
    "looked" in result ? [parseMark(result.looked.facts.mark)] : [],
  );
  return new Set(marks.flatMap(({ cluster }) => (cluster === undefined ? [] : [cluster])));
}

/** @throws where a node would come up at an address that another one leaves in the same update, maybe after it. */
async function refuseTaken(
  name: string,
  state: PreflightOutputs,
  hosts: PreflightInputs["hosts"],
): Promise<void> {
  const address = hosts[name]?.address;
  if (state.hosts[name]?.address === address) return;
  const found = Object.entries(state.hosts).find(
    ([other, host]) => other !== name && host.address === address,
  );
  if (found === undefined) return;
  const [holder, { target }] = found;
  const would = `${name} would get the address ${address}, which is that of ${holder}`;
  if (hosts[holder] !== undefined) {
    throw new Error(
      `${would} until this update is through; nothing was touched. ` +
        `Give ${holder} another address first, run \`pulumi up\`, and change that of ${name} after it`,
    );
  }
  if (!(await answers(target))) return;
  throw new Error(
    `${would}: it still answers, and is removed at the end of this update; nothing was touched. ` +
      `Remove ${holder} first, run \`pulumi up\`, and give ${name} its address after it`,
  );
}

/** Whether the very host is there, even one that lets nobody in. */
async function answers(target: Connection): Promise<boolean> {
  try {
    await runScript(target, ":", [], {
      patience,
      timeoutSeconds: 20,
      purpose: "looking whether it is still there",
    });
    return true;
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    return !(error instanceof UnreachableError || error instanceof HostKeyError);
  }
}

/**
 * Nodes that are there and get another installation, and those before them: an update may have stopped among them.
 * @throws where a node is new as well: it joins after the Swarm's founder, which may not leave before all have joined.
 */
async function rowOf(state: PreflightOutputs, { hosts }: PreflightInputs): Promise<string[]> {
  const names = Object.keys(hosts);
  const changed = names.filter((name) => {
    const before = state.hosts[name]?.installHash;
    return before !== undefined && before !== hosts[name]?.installHash;
  });
  const added = names.filter((name) => state.hosts[name] === undefined);
  if (changed.length > 0 && added.length > 0) {
    throw new Error(
      `${added.join(", ")} is new, and ${changed.join(", ")} would be reinstalled, which waits until all nodes are in ` +
        "the Swarm; nothing was touched. Take one of the two changes back, run `pulumi up`, and make it after that",
    );
  }
  for (const name of names) await refuseTaken(name, state, hosts);
  return names.filter((name) => state.row?.includes(name) === true || changed.includes(name));
}

/**
 * Fails with one message that lists every problem of every host: node, what, and what to do.
 * Changes nothing on any host, but for a mark on guests that no longer holds; `read` and `delete` ask none.
 */
export const preflight: Operation<PreflightInputs, PreflightOutputs> = {
  async create(inputs) {
    return { id: "preflight", outs: { ...(await run(inputs)), row: [] } };
  },
  read(id, state) {
    return Promise.resolve({ id, outs: state });
  },
  diff(state, inputs) {
    return diffOf(withoutGuests(state), withoutGuests(inputs), {
      outputOnly: ["findings", "row"],
      ignored: ["stack"],
    });
  },
  async update(_id, state, inputs) {
    const row = await rowOf(state, inputs);
    return { ...(await run(inputs, state)), row };
  },
  delete() {
    return Promise.resolve();
  },
};
