/** The registry's bucket, and a user who may touch that bucket only. */
import type { BucketInputs, BucketOutputs, Operation } from "../contract";
import { diffOf } from "../diff";
import { HostError, messageOf } from "../errors";
import { note, warn } from "../log";
import { readOrRecorded, recording, withoutProvider } from "../operation";
import { Deadline, poll } from "../time";
import { mc, onSomeStorageNode } from "./mc";
import type { McCommand, StorageContainer } from "./mc";

/** What a registry does with its bucket, and nothing else. */
export function bucketPolicy(bucket: string): string {
  const statement = (actions: string[], resource: string) => ({
    Effect: "Allow",
    Action: actions.map((action) => `s3:${action}`),
    Resource: [`arn:aws:s3:::${resource}`],
  });
  return JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      statement(["GetBucketLocation", "ListBucket", "ListBucketMultipartUploads"], bucket),
      statement(
        ["GetObject", "PutObject", "DeleteObject", "ListMultipartUploadParts", "AbortMultipartUpload"],
        `${bucket}/*`,
      ),
    ],
  });
}

const policyName = (bucket: string) => `registry-${bucket}`;

function asRoot(storage: StorageContainer, inputs: BucketInputs, command: Omit<McCommand, "keys">) {
  const { rootUser, rootPassword, secretKey } = inputs;
  return mc(storage, { ...command, keys: { access: rootUser, secret: rootPassword }, secrets: [secretKey] });
}

async function ensure(inputs: BucketInputs): Promise<BucketOutputs> {
  const { storageNodes, services, bucket, timeoutSeconds } = inputs;
  const deadline = new Deadline(timeoutSeconds);
  let last = "";
  const done = await poll(deadline, 3, async () => {
    try {
      await onSomeStorageNode(storageNodes, services, (storage) => make(storage, inputs, deadline.left(5)));
      return true;
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      last = messageOf(error);
      return undefined;
    }
  });
  if (!done)
    throw new HostError("storage", `bucket ${bucket} could not be made within ${timeoutSeconds} s: ${last}`);
  note("storage", `bucket ${bucket} and its user are there after ${deadline.elapsed} s`);
  return withoutProvider(inputs);
}

/** Every step may find its work done already. */
async function make(storage: StorageContainer, inputs: BucketInputs, seconds: number): Promise<void> {
  const { bucket, accessKey, secretKey } = inputs;
  const target = `local/${bucket}`;
  await mc(storage, {
    argv: ["ready", "local"],
    purpose: "waiting for MinIO's write quorum",
    timeoutSeconds: seconds,
  });
  await asRoot(storage, inputs, {
    argv: ["mb", "--ignore-existing", target],
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
    purpose: `adding user ${accessKey}`,
  });
  await attachPolicy(storage, inputs);
  await mc(storage, {
    argv: ["ls", `${target}/`],
    keys: { access: accessKey, secret: secretKey },
    purpose: `opening ${bucket} as ${accessKey}`,
  });
}

async function attachPolicy(storage: StorageContainer, inputs: BucketInputs): Promise<void> {
  const { bucket, accessKey } = inputs;
  const name = policyName(bucket);
  const info = await asRoot(storage, inputs, {
    argv: ["--json", "admin", "user", "info", "local", accessKey],
    purpose: `looking up user ${accessKey}`,
  });
  const { policyName: attached = "" } = JSON.parse(info.stdout) as { policyName?: string };
  if (attached.split(",").includes(name)) return;
  await asRoot(storage, inputs, {
    argv: ["admin", "policy", "attach", "local", name, "--user", accessKey],
    purpose: `giving ${accessKey} its rights`,
  });
}

async function remove(inputs: BucketOutputs): Promise<void> {
  const { storageNodes, services, bucket, accessKey, retain } = inputs;
  const gone = (argv: string[], purpose: string) => async (storage: StorageContainer) => {
    const { code, stderr, stdout } = await asRoot(storage, inputs, { argv, purpose, accept: [0, 1] });
    const said = stderr + stdout;
    if (code !== 0 && !/does not exist|not exist|no such/i.test(said)) {
      throw new HostError(storage.connection.node, `${purpose}: ${said.trim().split("\n")[0] ?? ""}`);
    }
  };
  await onSomeStorageNode(storageNodes, services, async (storage) => {
    await gone(["admin", "user", "remove", "local", accessKey], `removing user ${accessKey}`)(storage);
    await gone(
      ["admin", "policy", "remove", "local", policyName(bucket)],
      `removing the policy for ${bucket}`,
    )(storage);
    if (!retain) await gone(["rb", "--force", `local/${bucket}`], `removing bucket ${bucket}`)(storage);
  });
}

/** Makes bucket, policy and user, and proves the user's login. `delete` keeps the bucket when `retain` is set. */
export const bucket: Operation<BucketInputs, BucketOutputs> = {
  async create(inputs) {
    return { id: inputs.bucket, outs: await recording(inputs.bucket, inputs, () => ensure(inputs)) };
  },
  read(id, state) {
    return readOrRecorded("storage", id, state, () =>
      onSomeStorageNode(state.storageNodes, state.services, async (storage) => {
        const { code, stderr, stdout } = await asRoot(storage, state, {
          argv: ["stat", "--no-list", `local/${state.bucket}`],
          purpose: `looking for bucket ${state.bucket}`,
          accept: [0, 1],
        });
        if (code === 0) return { id, outs: state };
        if (/does not exist|NoSuchBucket/i.test(stderr + stdout)) return undefined;
        throw new HostError(storage.connection.node, (stderr || stdout).trim());
      }),
    );
  },
  diff(state, inputs) {
    return diffOf(state, inputs, { replace: ["bucket", "accessKey"] });
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
