/** When a member of MinIO may be changed. */
import type { Operation, StorageTurnInputs, StorageTurnOutputs } from "../contract";
import { diffOf } from "../diff";
import { withoutProvider } from "../operation";
import { storageSpares } from "./spare";

/** Whether the member runs as something else than what is wanted, for all that is known. */
const isDue = ({ recorded, fingerprint }: StorageTurnInputs): boolean =>
  recorded !== undefined && recorded !== fingerprint;

/** Waits until MinIO can do without the member, where it is about to be changed on its own. */
async function wait(inputs: StorageTurnInputs): Promise<StorageTurnOutputs> {
  if (inputs.oneByOne && isDue(inputs)) await storageSpares(inputs.node, inputs.store);
  return withoutProvider(inputs);
}

/**
 * What a member's change waits for, right before it. An update that is cut off between the two has this done and the
 * change not: so it is done again until the member is recorded as what it is to be.
 */
export const storageTurn: Operation<StorageTurnInputs, StorageTurnOutputs> = {
  async create(inputs) {
    return { id: inputs.node, outs: await wait(inputs) };
  },
  read(id, state) {
    return Promise.resolve({ id, outs: state });
  },
  diff(state, inputs) {
    const diff = diffOf(state, inputs, {
      replace: ["node"],
      ignored: ["store", "oneByOne", "recorded"],
    });
    return { ...diff, changes: diff.changes || isDue(inputs) };
  },
  update(_id, _state, inputs) {
    return wait(inputs);
  },
  delete() {
    return Promise.resolve();
  },
};
