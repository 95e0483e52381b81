/** The registry's bucket, and a user who may touch that bucket only. */
import type { BucketInputs, BucketOutputs, Operation } from "../contract";
import { diffOf } from "../diff";
import { HostError, messageOf } from "../errors";
import { note, warn } from "../log";
import { readOrRecorded, recording, withFound, withoutProvider } from "../operation";
import { asRoot, mc, onceStorageServes, onSomeStorageNode, unlessMissing } from "./mc";
import type { StorageContainer } from "./mc";
import { bucketPolicy, samePolicy } from "./policy";
import { usersOf } from "./users";

const policyName = (bucket: string) => `registry-${bucket}`;

async function ensure(inputs: BucketInputs): Promise<BucketOutputs> {
  const { bucket } = inputs;
  const seconds = await onceStorageServes(inputs, `bucket ${bucket} could not be made`, (storage, left) =>
    make(storage, inputs, left),
  );
  note("storage", `bucket ${bucket} and its user are there after ${seconds} s`);
  return withoutProvider(inputs);
}

/** Every step may find its work done already. Users with another key are left alone: registries may still have it. */
async function make(storage: StorageContainer, inputs: BucketInputs, seconds: number): Promise<void> {
  const { bucket, accessKey, secretKey } = inputs;
  await mc(storage, {
    argv: ["ready", "local"],
    purpose: "waiting for MinIO's write quorum",
    // Another node is asked where this one has none.
    timeoutSeconds: Math.min(seconds, 15),
  });
  await asRoot(storage, inputs, {
    argv: ["mb", "--ignore-existing", `local/${bucket}`],
    purpose: `making bucket ${bucket}`,
  });
  await asRoot(storage, inputs, {
    argv: ["admin", "policy", "create", "local", policyName(bucket), "/dev/stdin"],
    stdin: bucketPolicy(bucket),
    purpose: `making the policy for ${bucket}`,
  });
  await asRoot(storage, inputs, {
    argv: ["admin", "user", "add", "local", accessKey],
    stdin: `${secretKey}\n`,
    secrets: [secretKey],
    purpose: `adding user ${accessKey}`,
  });
  await attachPolicy(storage, inputs);
  const refused = await refusal(storage, inputs);
  if (refused !== undefined)
    throw new HostError(storage.connection.node, `opening ${bucket} as ${accessKey}: ${refused}`);
}

async function attachPolicy(storage: StorageContainer, inputs: BucketInputs): Promise<void> {
  const { bucket, accessKey } = inputs;
  const name = policyName(bucket);
  const user = await userInfo(storage, inputs);
  if (user?.policies.includes(name)) return;
  await asRoot(storage, inputs, {
    argv: ["admin", "policy", "attach", "local", name, "--user", accessKey],
    purpose: `giving ${accessKey} its rights`,
  });
}

interface User {
  readonly policies: readonly string[];
  readonly enabled: boolean;
}

async function userInfo(storage: StorageContainer, inputs: BucketInputs): Promise<User | undefined> {
  const { accessKey } = inputs;
  const argv = ["--json", "admin", "user", "info", "local", accessKey];
  const told = await unlessMissing(storage, inputs, argv, `looking up user ${accessKey}`);
  if (told === undefined) return undefined;
  const { policyName: attached = "", userStatus } = JSON.parse(told) as Record<string, string | undefined>;
  return { policies: attached.split(","), enabled: userStatus === "enabled" };
}

/** What MinIO says to the user; nothing where it lets the user in. */
async function refusal(
  storage: StorageContainer,
  { bucket, accessKey, secretKey }: BucketInputs,
): Promise<string | undefined> {
  const { code, stdout, stderr } = await mc(storage, {
    argv: ["ls", `local/${bucket}/`],
    keys: { access: accessKey, secret: secretKey },
    purpose: `opening ${bucket} as ${accessKey}`,
    accept: [0, 1],
  });
  return code === 0 ? undefined : (stderr || stdout).trim();
}

/** What an update has to mend, though the bucket is there. */
async function driftOf(storage: StorageContainer, inputs: BucketInputs): Promise<string[]> {
  const { bucket, accessKey } = inputs;
  const drift: string[] = [];
  const name = policyName(bucket);
  const argv = ["--json", "admin", "policy", "info", "local", name];
  const policy = await unlessMissing(storage, inputs, argv, `looking up policy ${name}`);
  if (policy === undefined) drift.push(`policy ${name} is gone`);
  else if (!samePolicy(policyIn(policy), JSON.parse(bucketPolicy(bucket))))
    drift.push(`policy ${name} is another one`);
  const user = await userInfo(storage, inputs);
  if (user === undefined) drift.push(`user ${accessKey} is gone`);
  else if (!user.enabled) drift.push(`user ${accessKey} is disabled`);
  else if (!user.policies.includes(name)) drift.push(`user ${accessKey} does not have policy ${name}`);
  else if (/signature/i.test((await refusal(storage, inputs)) ?? ""))
    drift.push(`user ${accessKey} has another key`);
  return drift;
}

function policyIn(told: string): unknown {
  return (JSON.parse(told) as { policyInfo?: { Policy?: unknown } }).policyInfo?.Policy;
}

async function remove(inputs: BucketOutputs): Promise<void> {
  const { storageNodes, services, bucket, retain } = inputs;
  await onSomeStorageNode(storageNodes, services, async (storage) => {
    const gone = (argv: string[], purpose: string) => unlessMissing(storage, inputs, argv, purpose);
    // More than one where an update was cut off between a new key and the end of the one before.
    for (const user of await usersOf(storage, inputs, bucket)) {
      await gone(["admin", "user", "remove", "local", user], `removing user ${user}`);
    }
    await gone(
      ["admin", "policy", "remove", "local", policyName(bucket)],
      `removing the policy for ${bucket}`,
    );
    if (!retain) await gone(["rb", "--force", `local/${bucket}`], `removing bucket ${bucket}`);
  });
}

/**
 * Makes bucket, policy and user, and proves the user's login. Another key is another user beside the one before, which
 * `previousKeys` removes later. `delete` takes all users, and keeps the bucket when `retain` is set.
 */
export const bucket: Operation<BucketInputs, BucketOutputs> = {
  async create(inputs) {
    return { id: inputs.bucket, outs: await recording(inputs.bucket, inputs, () => ensure(inputs)) };
  },
  read(id, state) {
    return readOrRecorded("storage", id, state, () =>
      onSomeStorageNode(state.storageNodes, state.services, async (storage) => {
        const argv = ["stat", "--no-list", `local/${state.bucket}`];
        const there = await unlessMissing(storage, state, argv, `looking for bucket ${state.bucket}`);
        if (there === undefined) return undefined;
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
      warn("storage", `user and policy of ${state.bucket} stay: ${messageOf(error)}`);
    }
  },
};
