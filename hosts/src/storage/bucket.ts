/** The registry's bucket, and the policy of the user who may touch that bucket only. */
import type { BucketInputs, BucketOutputs, Operation } from "../contract";
import { diffOf } from "../diff";
import { HostError, messageOf } from "../errors";
import { note, warn } from "../log";
import { readOrRecorded, recording, withFound, withoutProvider } from "../operation";
import { asRoot, mc, onceStorageServes, onSomeStorageNode, unlessMissing } from "./mc";
import type { StorageContainer } from "./mc";
import { bucketPolicy, policyName, samePolicy } from "./policy";

async function ensure(inputs: BucketInputs): Promise<BucketOutputs> {
  const { bucket } = inputs;
  const seconds = await onceStorageServes(inputs, `bucket ${bucket} could not be created`, (storage, left) =>
    create(storage, inputs, left),
  );
  note("storage", `bucket ${bucket} exists after ${seconds} s`);
  return withoutProvider(inputs);
}

/** Every step may find its work done already. */
async function create(storage: StorageContainer, inputs: BucketInputs, seconds: number): Promise<void> {
  const { bucket } = inputs;
  await mc(storage, {
    argv: ["ready", "local"],
    purpose: "waiting for MinIO's write quorum",
    // Another node is asked where this one has none.
    timeoutSeconds: Math.min(seconds, 15),
  });
  await asRoot(storage, inputs, {
    argv: ["mb", "--ignore-existing", `local/${bucket}`],
    purpose: `creating bucket ${bucket}`,
  });
  await asRoot(storage, inputs, {
    argv: ["admin", "policy", "create", "local", policyName(bucket), "/dev/stdin"],
    stdin: bucketPolicy(bucket),
    purpose: `creating the policy for ${bucket}`,
  });
}

async function driftOf(storage: StorageContainer, inputs: BucketInputs): Promise<string[]> {
  const name = policyName(inputs.bucket);
  const argv = ["--json", "admin", "policy", "info", "local", name];
  const policy = await unlessMissing(storage, inputs, argv, `looking up policy ${name}`);
  if (policy === undefined) return [`policy ${name} is gone`];
  const { policyInfo } = JSON.parse(policy) as { policyInfo?: { Policy?: unknown } };
  return samePolicy(policyInfo?.Policy, JSON.parse(bucketPolicy(inputs.bucket)))
    ? []
    : [`policy ${name} is another one`];
}

async function remove(inputs: BucketOutputs): Promise<void> {
  const { storageNodes, services, bucket, retain } = inputs;
  await onSomeStorageNode(storageNodes, services, async (storage) => {
    const gone = (argv: string[], purpose: string) => unlessMissing(storage, inputs, argv, purpose);
    await gone(
      ["admin", "policy", "remove", "local", policyName(bucket)],
      `removing the policy for ${bucket}`,
    );
    if (!retain) await gone(["rb", "--force", `local/${bucket}`], `removing bucket ${bucket}`);
  });
}

/** `delete` keeps the bucket when `retain` is set. */
export const bucket: Operation<BucketInputs, BucketOutputs> = {
  async create(inputs) {
    return { id: inputs.bucket, outs: await recording(inputs.bucket, inputs, () => ensure(inputs)) };
  },
  read(id, state) {
    return readOrRecorded("storage", id, state, () =>
      onSomeStorageNode(state.storageNodes, state.services, async (storage) => {
        const argv = ["stat", "--no-list", `local/${state.bucket}`];
        const found = await unlessMissing(storage, state, argv, `looking for bucket ${state.bucket}`);
        if (found === undefined) return undefined;
        const drift = await driftOf(storage, state);
        for (const one of drift) warn("storage", one);
        return { id, outs: withFound(state, "drift", drift) };
      }),
    );
  },
  diff(state, inputs) {
    return diffOf(state, inputs, { replace: ["bucket"] });
  },
  update(_id, _state, inputs) {
    return ensure(inputs);
  },
  async delete(_id, state) {
    try {
      await remove(state);
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      warn("storage", `the policy of ${state.bucket} stays: ${messageOf(error)}`);
    }
  },
};
