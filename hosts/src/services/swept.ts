/**
 * Secrets that an update left behind when it was cut off. Pulumi deletes what the state holds, and Docker itself refuses
 * to remove what is in use.
 */
import type { Operation, SweptInputs, SweptOutputs } from "../contract";
import { diffOf } from "../diff";
import { isMissing } from "../docker/api";
import { DockerError } from "../errors";
import { note } from "../log";
import { withoutProvider } from "../operation";
import { recordedIds } from "../proxy/managers";
import { workingManager } from "../swarm/managers";

async function sweep({ managers, label, stack }: SweptInputs): Promise<void> {
  const recorded = await recordedIds(stack);
  const purpose = "sweeping secrets";
  const { api } = await workingManager(managers, purpose);
  const all = await api.get<{ ID: string }[] | null>("/secrets", {
    query: { filters: { label: [label] } },
    purpose,
  });
  let removed = 0;
  for (const { ID } of (all ?? []).filter((each) => !recorded.has(each.ID))) {
    try {
      await api.delete(`/secrets/${ID}`, { purpose });
      removed += 1;
    } catch (error) {
      if (!(isMissing(error) || (error instanceof DockerError && isInUse(error)))) throw error;
    }
  }
  if (removed > 0) note("swarm", `removed ${removed} secrets that an update had left behind`);
}

function isInUse({ status, reason }: DockerError): boolean {
  return (status === 400 || status === 409) && /in use/i.test(reason);
}

/** Removes what carries the label, is not recorded and not in use. `delete` does nothing: the secrets' own resources remove them. */
export const swept: Operation<SweptInputs, SweptOutputs> = {
  async create(inputs) {
    await sweep(inputs);
    return { id: inputs.label, outs: withoutProvider(inputs) };
  },
  read(id, state) {
    return Promise.resolve({ id, outs: state });
  },
  diff(state, inputs) {
    return diffOf(state, inputs, { replace: ["label"] });
  },
  async update(_id, state, inputs) {
    if (state.fingerprint !== inputs.fingerprint) await sweep(inputs);
    return withoutProvider(inputs);
  },
  delete() {
    return Promise.resolve();
  },
};
