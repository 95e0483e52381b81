import { expect, it } from "vitest";
import type { BucketInputs, StorageUserInputs } from "../../../hosts/src/contract";
import { UNKNOWN } from "../../../hosts/src/diff";
import { bucket } from "../../../hosts/src/storage/bucket";
import { bucketPolicy } from "../../../hosts/src/storage/policy";
import { accessKeyOf, storageUser } from "../../../hosts/src/storage/user";
import { FakeMinio } from "./support/fake-minio";
import { logged } from "./support/stop";

const policy = "registry-registry";

/** MinIO without anything in it, and the inputs for it with a secret key. */
async function storage(secretKey = "registry-secret") {
  const minio = new FakeMinio();
  const connection = await minio.start();
  const store = {
    storageNodes: [connection],
    services: { [connection.node]: "minio-a" },
    bucket: "registry",
    rootUser: "root-user",
    rootPassword: "root-password",
    timeoutSeconds: 1,
  };
  const withKey = (secret: string): StorageUserInputs => ({
    ...store,
    accessKey: accessKeyOf("registry", secret),
    secretKey: secret,
  });
  const inputs: BucketInputs = { ...store, retain: true };
  return { minio, inputs, user: withKey(secretKey), withKey };
}

it("has a policy that names its own bucket and what is in it, and no action on all", () => {
  const { Statement } = JSON.parse(bucketPolicy("images")) as {
    Statement: { Effect: string; Action: string[]; Resource: string[] }[];
  };
  expect(Statement.map(({ Effect }) => Effect)).toEqual(["Allow", "Allow"]);
  expect(Statement.flatMap(({ Resource }) => Resource)).toEqual([
    "arn:aws:s3:::images",
    "arn:aws:s3:::images/*",
  ]);
  const actions = Statement.flatMap(({ Action }) => Action).map((action) => action.replace("s3:", ""));
  expect(actions.sort().join(" ")).toBe(
    "AbortMultipartUpload DeleteObject GetBucketLocation GetObject ListBucket ListBucketMultipartUploads " +
      "ListMultipartUploadParts PutObject",
  );
});

it("names a user by its bucket and its secret key, which the name does not tell", () => {
  expect(accessKeyOf("images", "one")).toMatch(/^images-[0-9a-f]{8}$/);
  expect(accessKeyOf("images", "one")).toBe(accessKeyOf("images", "one"));
  expect(accessKeyOf("images", "one")).not.toBe(accessKeyOf("images", "two"));
});

it("creates the bucket and its policy, then the user, and opens it as that user; no argument is a secret", async () => {
  const { inputs, minio, user } = await storage();
  expect(await bucket.create(inputs)).toEqual({ id: "registry", outs: inputs });
  const { accessKey } = user;
  expect(await storageUser.create(user)).toEqual({ id: accessKey, outs: user });
  expect(minio.lines.at(-1)).toBe("ls local/registry/");
  expect(minio.asked.at(-1)?.env).toContain(
    `MC_HOST_local=http://${accessKey}:registry-secret@127.0.0.1:9000`,
  );
  expect(minio.lines.join("\n")).not.toMatch(/root-password|registry-secret/);
  expect(minio.serves(accessKey, "registry-secret")).toBe(true);
});

it("a refresh forgets the bucket and the user only if MinIO says that they are gone", async () => {
  const { inputs, minio, user } = await storage();
  expect(await bucket.read("registry", inputs)).toBeUndefined();
  expect(await storageUser.read(user.accessKey, user)).toBeUndefined();
  minio.trouble = "Server not initialized";
  expect(await bucket.read("registry", inputs)).toEqual({ id: "registry", outs: inputs });
  expect(await storageUser.read(user.accessKey, user)).toEqual({ id: user.accessKey, outs: user });
  expect(logged.at(-1)).toMatch(/^warning: storage: not refreshed/);
  minio.trouble = undefined;
  await bucket.create(inputs);
  await storageUser.create(user);
  expect(await bucket.read("registry", inputs)).toEqual({ id: "registry", outs: inputs });
  expect(await storageUser.read(user.accessKey, user)).toEqual({ id: user.accessKey, outs: user });
});

it.each<[string, (minio: FakeMinio, user: string) => unknown]>([
  [
    "user USER is disabled",
    ({ users }, user) => Object.assign(users.get(user) ?? {}, { status: "disabled" }),
  ],
  [
    "user USER has another key",
    ({ users }, user) => Object.assign(users.get(user) ?? {}, { secret: "other" }),
  ],
  [`user USER does not have policy ${policy}`, ({ users }, user) => users.get(user)?.policies.pop()],
])("a refresh shows that %s, and an update repairs it", async (what, alter) => {
  const { inputs, minio, user } = await storage();
  await bucket.create(inputs);
  const { id } = await storageUser.create(user);
  alter(minio, id);
  const found = await storageUser.read(id, user);
  const drift = [what.replace("USER", id)];
  expect(found).toEqual({ id, outs: { ...user, drift } });
  expect(logged).toContain(`warning: storage: ${drift.join()}`);
  const state = found?.outs ?? user;
  expect(storageUser.diff(state, user)).toEqual({ changes: true, changedKeys: ["drift"], replaces: [] });
  expect(await storageUser.update(id, state, user)).toEqual(user);
  // What an earlier refresh found is not found again.
  expect(await storageUser.read(id, state)).toEqual({ id, outs: user });
  expect(minio.serves(id, user.secretKey)).toBe(true);
});

it("a refresh shows that the policy is another one, and an update repairs it", async () => {
  const { inputs, minio } = await storage();
  const { id } = await bucket.create(inputs);
  minio.policies.set(policy, JSON.parse(bucketPolicy("other")) as never);
  const state = (await bucket.read(id, inputs))?.outs ?? inputs;
  expect(state).toEqual({ ...inputs, drift: [`policy ${policy} is another one`] });
  expect(bucket.diff(state, inputs)).toEqual({ changes: true, changedKeys: ["drift"], replaces: [] });
  expect(await bucket.update(id, state, inputs)).toEqual(inputs);
  expect(await bucket.read(id, state)).toEqual({ id, outs: inputs });
});

it("another secret key is another user, created before the one before is removed", async () => {
  const { inputs, minio, withKey } = await storage();
  await bucket.create(inputs);
  const [before, after] = [withKey("before"), withKey("after")];
  await storageUser.create(before);
  for (const next of [after, { ...after, accessKey: UNKNOWN, secretKey: UNKNOWN }])
    expect(storageUser.diff(before, next)).toEqual({
      changes: true,
      changedKeys: ["accessKey", "secretKey"],
      replaces: ["accessKey"],
      deleteBeforeReplace: false,
    });
  await storageUser.create(after);
  for (const one of [before, after]) expect(minio.serves(one.accessKey, one.secretKey)).toBe(true);
  minio.users.set("backup", { secret: "own", policies: [], status: "enabled" });
  await storageUser.delete(before.accessKey, before);
  expect([...minio.users.keys()].sort()).toEqual(["backup", after.accessKey].sort());
});

it.each([true, false])(
  "with retain %s a destroy removes the user, the policy and, without it, the bucket",
  async (retain) => {
    const { minio, inputs, user } = await storage();
    await bucket.create(inputs);
    await storageUser.create(user);
    await storageUser.delete(user.accessKey, user);
    await bucket.delete("registry", { ...inputs, retain });
    expect([minio.users.size, minio.policies.size, minio.buckets.size]).toEqual([0, 0, retain ? 1 : 0]);
  },
);

it("a destroy goes on if user and policy are gone already", async () => {
  const { minio, inputs, user } = await storage();
  await bucket.create(inputs);
  minio.policies.clear();
  await storageUser.delete(user.accessKey, user);
  await bucket.delete("registry", { ...inputs, retain: false });
  expect(minio.buckets.size).toBe(0);
  expect(logged.filter((line) => line.startsWith("warning"))).toEqual([]);
});
