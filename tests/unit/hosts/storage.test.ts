import { expect, it } from "vitest";
import type { BucketInputs } from "../../../hosts/src/contract";
import { DOCKER_SOCKET } from "../../../hosts/src/docker/api";
import { bucket, bucketPolicy } from "../../../hosts/src/storage/bucket";
import { frame, startDocker, type Seen } from "./support/fake-docker";
import { logged, startServer } from "./support/stop";

interface Asked {
  readonly argv: readonly string[];
  readonly login: string;
}

/** How `mc` ends where a test says nothing else. */
type Ends = (line: string) => { code?: number; out?: string; err?: string } | undefined;

/** A storage node whose MinIO container runs `mc` as a test says. */
async function storage(ends: Ends = () => undefined) {
  const asked: Asked[] = [];
  const codes: number[] = [];
  const line = (at: number) => asked[at]?.argv.slice(3).join(" ") ?? "";
  const docker = await startDocker();
  docker.on("GET", /^\/containers\/json$/, () => ({ json: [{ Id: "minio", Created: 1 }] }));
  docker.on("POST", /^\/containers\/minio\/exec$/, ({ body }) => {
    const { Cmd, Env } = JSON.parse(body) as { Cmd: string[]; Env: string[] };
    const login = Env.find((one) => one.startsWith("MC_HOST_local="))?.slice("MC_HOST_local=".length) ?? "";
    asked.push({ argv: Cmd, login });
    return { json: { Id: String(asked.length - 1) } };
  });
  docker.on("GET", /^\/exec\/\d+\/json$/, ({ path }) => ({
    json: { ExitCode: codes[Number(path.split("/")[2])] ?? 0 },
  }));
  docker.onUpgrade = ({ path }: Seen, socket) => {
    const at = Number(path.split("/")[2]);
    const info = line(at).startsWith("--json admin user info") ? '{"policyName":""}' : "";
    const { code = 0, out = info, err = "" } = ends(line(at)) ?? {};
    codes[at] = code;
    socket.end(Buffer.concat([frame(1, out), frame(2, err)]));
  };
  const server = await startServer({ sockets: { [DOCKER_SOCKET]: docker.path } });
  const connection = server.connection();
  const inputs: BucketInputs = {
    storageNodes: [connection],
    services: { [connection.node]: "minio-a" },
    bucket: "registry",
    rootUser: "root-user",
    rootPassword: "root-password",
    accessKey: "registry",
    secretKey: "registry-secret",
    retain: true,
    timeoutSeconds: 5,
  };
  return { inputs, asked, lines: () => asked.map((_one, at) => line(at)) };
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
  expect(Statement.flatMap(({ Action }) => Action).sort()).toEqual([
    "s3:AbortMultipartUpload",
    "s3:DeleteObject",
    "s3:GetBucketLocation",
    "s3:GetObject",
    "s3:ListBucket",
    "s3:ListBucketMultipartUploads",
    "s3:ListMultipartUploadParts",
    "s3:PutObject",
  ]);
});

it("makes the bucket, its policy and its user, then opens it as that user; no argument is a secret", async () => {
  const { inputs, asked, lines } = await storage();
  expect(await bucket.create(inputs)).toEqual({ id: "registry", outs: inputs });
  expect(lines()).toEqual([
    "ready local",
    "mb --ignore-existing local/registry",
    "admin policy create local registry-registry /dev/stdin",
    "admin user add local registry",
    "--json admin user info local registry",
    "admin policy attach local registry-registry --user registry",
    "ls local/registry/",
  ]);
  expect(asked.at(-1)?.login).toBe("http://registry:registry-secret@127.0.0.1:9000");
  expect(lines().join("\n")).not.toMatch(/root-password|registry-secret/);
});

it("is gone for a refresh where MinIO says so, and only then", async () => {
  const missing = await storage((line) =>
    line.startsWith("stat") ? { code: 1, err: "Bucket `registry` does not exist." } : undefined,
  );
  expect(await bucket.read("registry", missing.inputs)).toBeUndefined();
  const broken = await storage(() => ({ code: 1, err: "Server not initialized" }));
  expect(await bucket.read("registry", broken.inputs)).toEqual({ id: "registry", outs: broken.inputs });
  expect(logged.at(-1)).toMatch(/^warning: storage: not refreshed/);
  const there = await storage();
  expect(await bucket.read("registry", there.inputs)).toEqual({ id: "registry", outs: there.inputs });
});

it.each([
  [true, []],
  [false, ["rb --force local/registry"]],
])("with retain %s a destroy takes user and policy, and of the bucket: %j", async (retain, more) => {
  const { inputs, lines } = await storage((line) =>
    line.includes("policy remove") ? { code: 1, err: "The canned policy does not exist." } : undefined,
  );
  await bucket.delete("registry", { ...inputs, retain });
  expect(lines()).toEqual([
    "admin user remove local registry",
    "admin policy remove local registry-registry",
    ...more,
  ]);
});
