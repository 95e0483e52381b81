/** The keys that registries had for the object store before their last change, and the end of them. */
import type { Operation, PreviousKeysInputs, PreviousKeysOutputs } from "../contract";
import { diffOf } from "../diff";
import { HostError } from "../errors";
import { note, warn } from "../log";
import { readOrRecorded, withFound, withoutProvider } from "../operation";
import { onceStorageServes, onSomeStorageNode, unlessMissing } from "./mc";
import type { StorageContainer } from "./mc";
import { usersOf } from "./users";

async function takeAway(inputs: PreviousKeysInputs): Promise<PreviousKeysOutputs> {
  const { bucket, accessKey } = inputs;
  await onceStorageServes(inputs, `previous keys of ${bucket} could not be taken away`, async (storage) => {
    const users = await usersOf(storage, inputs, bucket);
    if (!users.includes(accessKey)) {
      const remedy = "`pulumi up --refresh` makes it anew";
      throw new HostError(
        storage.connection.node,
        `user ${accessKey}, whose key registries have, is not there: ${remedy}`,
      );
    }
    for (const user of users.filter((name) => name !== accessKey)) await removeUser(storage, inputs, user);
  });
  return withoutProvider(inputs);
}

async function removeUser(
  storage: StorageContainer,
  inputs: PreviousKeysInputs,
  user: string,
): Promise<void> {
  await unlessMissing(storage, inputs, ["admin", "user", "remove", "local", user], `removing user ${user}`);
  note("storage", `user ${user} is removed: no registry has its key any more`);
}

/**
 * Removes all of the bucket's users but the one whose key registries have now; it comes after them. `delete` does nothing:
 * the bucket takes its users along.
 */
export const previousKeys: Operation<PreviousKeysInputs, PreviousKeysOutputs> = {
  async create(inputs) {
    return { id: "previous-keys", outs: await takeAway(inputs) };
  },
  read(id, state) {
    return readOrRecorded("storage", id, state, () =>
      onSomeStorageNode(state.storageNodes, state.services, async (storage) => {
        const users = await usersOf(storage, state, state.bucket);
        const left = users.filter((name) => name !== state.accessKey);
        if (left.length > 0)
          warn("storage", `${state.bucket} has other users than ${state.accessKey}: ${left.join(", ")}`);
        return { id, outs: withFound(state, "left", left) };
      }),
    );
  },
  diff(state, inputs) {
    return diffOf(state, inputs);
  },
  async update(_id, state, inputs) {
    const isOther = state.accessKey !== inputs.accessKey || state.bucket !== inputs.bucket;
    return isOther || state.left !== undefined ? takeAway(inputs) : withoutProvider(inputs);
  },
  delete() {
    return Promise.resolve();
  },
};
