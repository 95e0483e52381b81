/** Waiting for a service until all tasks of its current spec are healthy, and stay so for a moment. */
import type { ConvergedInputs, ConvergedOutputs, Operation } from "../contract";
import { diffOf, equal } from "../diff";
import { isMissing } from "../docker/api";
import { DockerError, HostError, messageOf } from "../errors";
import { note, warn } from "../log";
import { withoutProvider } from "../operation";
import { onManager } from "../swarm/managers";
import { Deadline, sleep } from "../time";
import type { SwarmNode, SwarmService, SwarmTask } from "../swarm/types";
import { decide } from "./decide";
import { resumeUpdate } from "./resume";
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

async function ensure(inputs: ConvergedInputs): Promise<ConvergedOutputs> {
  const { service, timeoutSeconds } = inputs;
  const deadline = new Deadline(timeoutSeconds);
  let steady: { tasks: readonly string[]; since: number } | undefined;
  let idleSince: number | undefined;
  let shown = "";
  for (;;) {
    const decision = await look(inputs);
    switch (decision.kind) {
      case "failed":
        throw new Error(`service ${service}: ${decision.detail}`);
      case "waiting":
        steady = undefined;
        idleSince = decision.idle ? (idleSince ?? Date.now()) : undefined;
        if (idleSince !== undefined && Date.now() - idleSince >= IDLE_SECONDS * 1000) {
          await resumeUpdate(inputs.managers, service);
          idleSince = undefined;
        }
        if (deadline.passed)
          throw new Error(`service ${service} is not up after ${timeoutSeconds} s: ${decision.detail}`);
        if (decision.detail !== shown && deadline.elapsed >= QUIET_SECONDS) {
          note(service, decision.detail);
          shown = decision.detail;
        }
        break;
      case "converged": {
        if (!steady || !equal(steady.tasks, decision.tasks))
          steady = { tasks: decision.tasks, since: Date.now() };
        if (Date.now() - steady.since >= decision.steadySeconds * 1000) {
          for (const text of decision.warnings) warn(service, text);
          return withoutProvider(inputs);
        }
        break;
      }
      default:
        return decision satisfies never;
    }
    await sleep(1000);
  }
}

/** Waits for a service. Fails with node and last task error when it takes too long, or Swarm paused or rolled back. */
export const converged: Operation<ConvergedInputs, ConvergedOutputs> = {
  async create(inputs) {
    return { id: inputs.service, outs: await ensure(inputs) };
  },
  read(id, state) {
    return Promise.resolve({ id, outs: state });
  },
  diff(state, inputs) {
    return diffOf(state, inputs, { replace: ["service"] });
  },
  update(_id, state, inputs) {
    return state.fingerprint === inputs.fingerprint
      ? Promise.resolve(withoutProvider(inputs))
      : ensure(inputs);
  },
  delete() {
    return Promise.resolve();
  },
};
