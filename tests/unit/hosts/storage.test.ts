import { expect, it } from "vitest";
import type { BucketInputs, PreviousKeysInputs } from "../../../hosts/src/contract";
import { UNKNOWN } from "../../../hosts/src/diff";
import { bucket } from "../../../hosts/src/storage/bucket";
import { bucketPolicy } from "../../../hosts/src/storage/policy";
import { previousKeys } from "../../../hosts/src/storage/previous-keys";
import { accessKeyOf } from "../../../hosts/src/storage/users";
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
  const withKey = (secret: string): BucketInputs => ({
    ...store,
    accessKey: accessKeyOf("registry", secret),
    secretKey: secret,
    retain: true,
  });
  const keeping = (accessKey: string): PreviousKeysInputs => ({ ...store, accessKey });
  return { minio, inputs: withKey(secretKey), withKey, keeping };
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

it("makes the bucket, its policy and its user, then opens it as that user; no argument is a secret", async () => {
  const { inputs, minio } = await storage();
  expect(await bucket.create(inputs)).toEqual({ id: "registry", outs: inputs });
  const user = inputs.accessKey;
  expect(minio.lines.at(-1)).toBe("ls local/registry/");
  expect(minio.asked.at(-1)?.env).toContain(`MC_HOST_local=http://${user}:registry-secret@127.0.0.1:9000`);
  expect(minio.lines.join("\n")).not.toMatch(/root-password|registry-secret/);
  expect(minio.serves(user, "registry-secret")).toBe(true);
});

it("is gone for a refresh where MinIO says so, and only then", async () => {
  const { inputs, minio } = await storage();
  expect(await bucket.read("registry", inputs)).toBeUndefined();
  minio.trouble = "Server not initialized";
  expect(await bucket.read("registry", inputs)).toEqual({ id: "registry", outs: inputs });
  expect(logged.at(-1)).toMatch(/^warning: storage: not refreshed/);
  minio.trouble = undefined;
  await bucket.create(inputs);
  expect(await bucket.read("registry", inputs)).toEqual({ id: "registry", outs: inputs });
});

it.each<[string, (minio: FakeMinio, user: string) => unknown]>([
  ["user USER is gone", ({ users }, user) => users.delete(user)],
  [
    "user USER is disabled",
    ({ users }, user) => Object.assign(users.get(user) ?? {}, { status: "disabled" }),
  ],
  [
    "user USER has another key",
    ({ users }, user) => Object.assign(users.get(user) ?? {}, { secret: "other" }),
  ],
  [`user USER does not have policy ${policy}`, ({ users }, user) => users.get(user)?.policies.pop()],
  [
    `policy ${policy} is another one`,
    ({ policies }) => policies.set(policy, JSON.parse(bucketPolicy("other"))),
  ],
])("shows at a refresh that %s, and mends that by an update", async (what, alter) => {
  const { inputs, minio } = await storage();
  const { id } = await bucket.create(inputs);
  alter(minio, inputs.accessKey);
  const found = await bucket.read(id, inputs);
  const drift = [what.replace("USER", inputs.accessKey)];
  expect(found).toEqual({ id, outs: { ...inputs, drift } });
  expect(logged).toContain(`warning: storage: ${drift.join()}`);
  const state = found?.outs ?? inputs;
  expect(bucket.diff(state, inputs)).toEqual({ changes: true, changedKeys: ["drift"], replaces: [] });
  const outs = await bucket.update(id, state, inputs);
  expect(outs).toEqual(inputs);
  // What an earlier refresh found is not found again.
  expect(await bucket.read(id, state)).toEqual({ id, outs: inputs });
  expect(minio.serves(inputs.accessKey, inputs.secretKey)).toBe(true);
});

/** The users' names as they were before each key had its own, and as they are. */
it.each([
  ["the bucket's own name", "registry"],
  ["a name of its own", accessKeyOf("registry", "before")],
])(
  "another secret key of a user with %s refuses no registry, and ends the one before",
  async (_what, name) => {
    const { minio, withKey, keeping } = await storage();
    const before = { ...withKey("before"), accessKey: name };
    await bucket.create(before);
    await previousKeys.create(keeping(name));
    const after = withKey("after");
    const registries = ["a", "b", "c", "d"].map(() => before);
    const refused = () => registries.filter((one) => !minio.serves(one.accessKey, one.secretKey)).length;
    expect(refused()).toBe(0);

    const isKnown = bucket.diff(before, { ...after, accessKey: UNKNOWN, secretKey: UNKNOWN });
    for (const diff of [isKnown, bucket.diff(before, after)])
      expect(diff).toEqual({ changes: true, changedKeys: ["accessKey", "secretKey"], replaces: [] });
    await bucket.update("registry", before, after);
    for (const at of registries.keys()) {
      expect(refused()).toBe(0);
      registries[at] = after;
    }
    await previousKeys.update("previous-keys", keeping(name), keeping(after.accessKey));
    expect(refused()).toBe(0);
    expect(minio.serves(before.accessKey, before.secretKey)).toBe(false);
    expect([...minio.users.keys()]).toEqual([after.accessKey]);
    expect(logged).toContain(`storage: user ${name} is removed: no registry has its key any more`);
  },
);

it("takes away all that updates which were cut off have left, and nobody else's user", async () => {
  const { minio, withKey, keeping } = await storage();
  const first = { ...withKey("first"), accessKey: "registry" };
  const [second, third] = [withKey("second"), withKey("third")];
  await bucket.create(first);
  await bucket.update("registry", first, second);
  await bucket.update("registry", second, third);
  for (const name of ["backup", "registry-backup", "registries-0123abcd"])
    minio.users.set(name, { secret: "own", policies: [], status: "enabled" });
  await previousKeys.create(keeping(third.accessKey));
  expect([...minio.users.keys()].sort()).toEqual(
    ["backup", "registries-0123abcd", "registry-backup", third.accessKey].sort(),
  );
});

it("takes no key away while the user is missing whose key registries should have", async () => {
  const { minio, withKey, keeping } = await storage();
  const before = withKey("before");
  await bucket.create(before);
  const { accessKey } = withKey("after");
  await expect(previousKeys.create(keeping(accessKey))).rejects.toThrow(
    new RegExp(
      `user ${accessKey}, whose key registries have, is not there: .pulumi up --refresh. makes it anew`,
    ),
  );
  expect(minio.serves(before.accessKey, before.secretKey)).toBe(true);
});

it("finds a previous key by a refresh, and removes it by an update", async () => {
  const { minio, withKey, keeping } = await storage();
  const now = withKey("now");
  await bucket.create(now);
  const { id, outs } = await previousKeys.create(keeping(now.accessKey));
  expect(await previousKeys.read(id, outs)).toEqual({ id, outs });
  minio.users.set("registry", { secret: "before", policies: [policy], status: "enabled" });
  const state = (await previousKeys.read(id, outs))?.outs ?? outs;
  expect(state).toEqual({ ...outs, left: ["registry"] });
  expect(previousKeys.diff(state, outs)).toEqual({ changes: true, changedKeys: ["left"], replaces: [] });
  expect(await previousKeys.update(id, state, outs)).toEqual(outs);
  expect([...minio.users.keys()]).toEqual([now.accessKey]);
});

it.each([true, false])(
  "with retain %s a destroy removes users, policy and, without it, the bucket",
  async (retain) => {
    const { minio, inputs, withKey } = await storage();
    await bucket.create(inputs);
    // An update to another key that was cut off.
    const next = withKey("next");
    await bucket.update("registry", inputs, next);
    await bucket.delete("registry", { ...next, retain });
    expect([minio.users.size, minio.policies.size, minio.buckets.size]).toEqual([0, 0, retain ? 1 : 0]);
  },
);

it("a destroy goes on if users and policy are gone already", async () => {
  const { minio, inputs } = await storage();
  await bucket.create(inputs);
  minio.users.clear();
  minio.policies.clear();
  await bucket.delete("registry", { ...inputs, retain: false });
  expect(minio.buckets.size).toBe(0);
  expect(logged.filter((line) => line.startsWith("warning"))).toEqual([]);
});
