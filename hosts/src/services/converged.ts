/** Waiting for a service until all tasks of its current spec are healthy, and stay so for a moment. */
import type { ConvergedInputs, ConvergedOutputs, Operation, ReadResult } from "../contract";
import { diffOf, equal } from "../diff";
import { isMissing } from "../docker/api";
import { DockerError, HostError, messageOf } from "../errors";
import { note, warn } from "../log";
import { withoutProvider } from "../operation";
import { onManager } from "../swarm/managers";
import { Deadline, systemClock } from "../time";
import type { Clock } from "../time";
import type { SwarmNode, SwarmService, SwarmTask } from "../swarm/types";
import { decide } from "./decide";
import { endResumption, resumeUpdate } from "./resume";
import { digestOf } from "./spec";
import type { Decision, ServiceView } from "./decide";

/** How long a service may take before it is said what it waits for. */
const QUIET_SECONDS = 15;
/** How long Swarm may leave an update alone, pauses between tasks included, before it is started over. */
const IDLE_SECONDS = 20;

function view({ managers, service: name }: ConvergedInputs): Promise<ServiceView> {
  const purpose = `looking at service ${name}`;
  const options = { purpose, timeoutSeconds: 10 };
  return onManager(managers, purpose, async ({ api }) => {
    const [service, tasks, nodes] = await Promise.all([
      api.get<SwarmService>(`/services/${encodeURIComponent(name)}`, options),
      api.get<SwarmTask[]>("/tasks", { ...options, query: { filters: { service: [name] } } }),
      api.get<SwarmNode[]>("/nodes", options),
    ]);
    return { service, tasks, nodes };
  });
}

async function look(inputs: ConvergedInputs): Promise<Decision> {
  try {
    return decide(await view(inputs));
  } catch (error) {
    if (isMissing(error)) return { kind: "waiting", detail: "there is no such service" };
    // An election, or a manager lost in mid-answer.
    if (error instanceof DockerError ? error.status >= 500 : error instanceof HostError) {
      return { kind: "waiting", detail: messageOf(error) };
    }
    throw error;
  }
}

async function ensure(inputs: ConvergedInputs, clock: Clock): Promise<ConvergedOutputs> {
  const { service, timeoutSeconds } = inputs;
  const deadline = new Deadline(timeoutSeconds, clock);
  let steady: { tasks: readonly string[]; since: number } | undefined;
  let idleSince: number | undefined;
  let resumed = false;
  let shown = "";
  for (;;) {
    const decision = await look(inputs);
    const idle = decision.kind !== "failed" && decision.idle;
    idleSince = idle ? (idleSince ?? clock.now()) : undefined;
    if (idleSince !== undefined && clock.now() - idleSince >= IDLE_SECONDS * 1000) {
      await resumeUpdate(inputs.managers, service);
      resumed = true;
      idleSince = steady = undefined;
      continue;
    }
    switch (decision.kind) {
      case "failed":
        throw new Error(`service ${service}: ${decision.detail}`);
      case "waiting":
        steady = undefined;
        if (deadline.passed)
          throw new Error(`service ${service} is not up after ${timeoutSeconds} s: ${decision.detail}`);
        if (decision.detail !== shown && deadline.elapsed >= QUIET_SECONDS) {
          note(service, decision.detail);
          shown = decision.detail;
        }
        break;
      case "converged": {
        if (!steady || !equal(steady.tasks, decision.tasks))
          steady = { tasks: decision.tasks, since: clock.now() };
        if (!decision.idle && clock.now() - steady.since >= decision.steadySeconds * 1000) {
          for (const text of decision.warnings) warn(service, text);
          if (resumed) await endResumption(inputs.managers, service);
          return { ...withoutProvider(inputs), spec: decision.spec };
        }
        if (decision.idle && deadline.passed)
          throw new Error(
            `service ${service} is up, but Swarm has not ended its update after ${timeoutSeconds} s. ` +
              "Run again once docker node ls shows every node as ready or down",
          );
        break;
      }
      default:
        return decision satisfies never;
    }
    await clock.sleep(1000);
  }
}

/** As Swarm has it now; nothing where there is no such service. */
async function specNow({ managers, service }: ConvergedInputs): Promise<string | undefined> {
  const purpose = `looking at service ${service}`;
  try {
    return await onManager(managers, purpose, async ({ api }) =>
      digestOf(await api.get<SwarmService>(`/services/${encodeURIComponent(service)}`, { purpose })),
    );
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/**
 * What runs by another spec than it was seen to run by, or not at all, is waited for anew by the update that mends it:
 * that is no change of what is wanted, which the fingerprint tells. A Swarm that cannot be asked is said so by its nodes.
 */
async function read(id: string, state: ConvergedOutputs): Promise<ReadResult<ConvergedOutputs>> {
  if (state.spec === undefined) return { id, outs: state };
  try {
    const isRecorded = (await specNow(state)) === state.spec;
    return { id, outs: isRecorded ? state : { ...state, fingerprint: "" } };
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    return { id, outs: state };
  }
}

/** Waits for a service. Fails with node and last task error when it takes too long, or Swarm paused or rolled back. */
export const convergedBy = (clock: Clock): Operation<ConvergedInputs, ConvergedOutputs> => ({
  async create(inputs) {
    return { id: inputs.service, outs: await ensure(inputs, clock) };
  },
  read,
  diff(state, inputs) {
    const { fingerprint, interrupts, service } = inputs;
    if (interrupts !== undefined && !equal(state.fingerprint, fingerprint))
      note(service, `this update: ${interrupts}`);
    return diffOf(state, inputs, { replace: ["service"], outputOnly: ["spec"], ignored: ["interrupts"] });
  },
  async update(_id, state, inputs) {
    if (state.fingerprint === inputs.fingerprint) return { ...withoutProvider(inputs), spec: state.spec };
    return ensure(inputs, clock);
  },
  delete() {
    return Promise.resolve();
  },
});

export const converged = convergedBy(systemClock);
