/** The registry's user of the object store, who may touch one bucket only. */
import { createHash } from "node:crypto";
import type { Operation, StorageUserInputs, StorageUserOutputs } from "../contract";
import { diffOf } from "../diff";
import { HostError, messageOf } from "../errors";
import { note, warn } from "../log";
import { readOrRecorded, recording, withFound, withoutProvider } from "../operation";
import { asRoot, mc, onceStorageServes, onSomeStorageNode, unlessMissing } from "./mc";
import type { StorageContainer } from "./mc";
import { policyName } from "./policy";

/** Name of the bucket's user that has this secret key: another key is another user. */
export function accessKeyOf(bucket: string, secretKey: string): string {
  // It is no secret: so few digits are those of any number of keys.
  return `${bucket}-${createHash("sha256").update(secretKey).digest("hex").slice(0, 8)}`;
}

async function ensure(inputs: StorageUserInputs): Promise<StorageUserOutputs> {
  const { accessKey } = inputs;
  await onceStorageServes(inputs, `user ${accessKey} could not be created`, (storage) =>
    create(storage, inputs),
  );
  return withoutProvider(inputs);
}

/** Every step may find its work done already; the last one proves the login. */
async function create(storage: StorageContainer, inputs: StorageUserInputs): Promise<void> {
  const { bucket, accessKey, secretKey } = inputs;
  const policy = policyName(bucket);
  await asRoot(storage, inputs, {
    argv: ["admin", "user", "add", "local", accessKey],
    stdin: `${secretKey}\n`,
    secrets: [secretKey],
    purpose: `adding user ${accessKey}`,
  });
  const user = await userInfo(storage, inputs);
  if (!user?.policies.includes(policy)) {
    await asRoot(storage, inputs, {
      argv: ["admin", "policy", "attach", "local", policy, "--user", accessKey],
      purpose: `giving ${accessKey} its rights`,
    });
  }
  const refused = await refusal(storage, inputs);
  if (refused !== undefined)
    throw new HostError(storage.connection.node, `opening ${bucket} as ${accessKey}: ${refused}`);
}

interface User {
  readonly policies: readonly string[];
  readonly enabled: boolean;
}

async function userInfo(storage: StorageContainer, inputs: StorageUserInputs): Promise<User | undefined> {
  const { accessKey } = inputs;
  const argv = ["--json", "admin", "user", "info", "local", accessKey];
  const answer = await unlessMissing(storage, inputs, argv, `looking up user ${accessKey}`);
  if (answer === undefined) return undefined;
  const { policyName: attached = "", userStatus } = JSON.parse(answer) as Record<string, string | undefined>;
  return { policies: attached.split(","), enabled: userStatus === "enabled" };
}

/** MinIO's answer to the user's login; `undefined` if it succeeds. */
async function refusal(
  storage: StorageContainer,
  { bucket, accessKey, secretKey }: StorageUserInputs,
): Promise<string | undefined> {
  const { code, stdout, stderr } = await mc(storage, {
    argv: ["ls", `local/${bucket}/`],
    keys: { access: accessKey, secret: secretKey },
    purpose: `opening ${bucket} as ${accessKey}`,
    accept: [0, 1],
  });
  return code === 0 ? undefined : (stderr || stdout).trim();
}

async function driftOf(storage: StorageContainer, inputs: StorageUserInputs, user: User): Promise<string[]> {
  const { accessKey, bucket } = inputs;
  const policy = policyName(bucket);
  if (!user.enabled) return [`user ${accessKey} is disabled`];
  if (!user.policies.includes(policy)) return [`user ${accessKey} does not have policy ${policy}`];
  const isOtherKey = /signature/i.test((await refusal(storage, inputs)) ?? "");
  return isOtherKey ? [`user ${accessKey} has another key`] : [];
}

export const storageUser: Operation<StorageUserInputs, StorageUserOutputs> = {
  async create(inputs) {
    const { accessKey } = inputs;
    return { id: accessKey, outs: await recording(accessKey, inputs, () => ensure(inputs)) };
  },
  read(id, state) {
    return readOrRecorded("storage", id, state, () =>
      onSomeStorageNode(state.storageNodes, state.services, async (storage) => {
        const user = await userInfo(storage, state);
        if (user === undefined) return undefined;
        const drift = await driftOf(storage, state, user);
        for (const one of drift) warn("storage", one);
        return { id, outs: withFound(state, "drift", drift) };
      }),
    );
  },
  diff(state, inputs) {
    const diff = diffOf(state, inputs, { replace: ["accessKey", "bucket"] });
    // Registries have the key of the user before until they are updated.
    return diff.replaces.length > 0 ? { ...diff, deleteBeforeReplace: false } : diff;
  },
  update(_id, _state, inputs) {
    return ensure(inputs);
  },
  async delete(_id, state) {
    const { accessKey, services, storageNodes } = state;
    try {
      await onSomeStorageNode(storageNodes, services, (storage) =>
        unlessMissing(
          storage,
          state,
          ["admin", "user", "remove", "local", accessKey],
          `removing user ${accessKey}`,
        ),
      );
      note("storage", `user ${accessKey} is removed`);
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      warn("storage", `user ${accessKey} stays: ${messageOf(error)}`);
    }
  },
};
