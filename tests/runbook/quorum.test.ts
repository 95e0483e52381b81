import * as path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { pushAndPull, type RegistryAccess } from "../../lab/journey/push";
import { pushLayer } from "../support/blobs";
import { expectSpareStorage } from "../support/spareStorage";
import { ask, eventually, helloArchive, TestLab, type Answer } from "../support/testLab";

/** Whole nodes that go are a matter of `make chaos`. */
const pair = ["coreos3", "coreos4"];
/** A node that is silent is waited for by members and by fronts before it is done without. */
const PATIENCE = 120;
/** The front refuses by itself, and asks no registry, which would wait for the store. */
const AT_ONCE_MS = 5000;

let lab: TestLab;
let access: RegistryAccess;
let pushed: string;

beforeAll(async () => {
  lab = await TestLab.standing();
  access = await lab.access();
  pushed = await pushAndPull(lab.instance, access, helloArchive(lab));
});

const repository = (): string => `/v2/demo/${path.basename(helloArchive(lab), ".tar")}`;

function asked(method: string, target: string, body?: string, timeoutMs = 60_000): Promise<Answer> {
  const { username: user, password } = access;
  return ask(lab, access, target, { user, password, method, body, timeoutMs });
}

function expectRefusal({ status, headers, body }: Answer): void {
  expect(status, body).toBe(503);
  expect(headers["retry-after"]).toMatch(/^[1-9]\d*$/);
  expect(JSON.parse(body)).toMatchObject({ errors: [{ code: "UNAVAILABLE" }] });
}

/** An image as it is pulled: manifest and all that it names. */
async function pulls(): Promise<void> {
  const manifest = await asked("GET", `${repository()}/manifests/${pushed}`);
  expect(manifest.status, manifest.body).toBe(200);
  const { config, layers } = JSON.parse(manifest.body) as Record<"config" | "layers", unknown>;
  for (const { digest, size } of [config, layers].flat() as { digest: string; size: number }[]) {
    const blob = await asked("HEAD", `${repository()}/blobs/${digest}`);
    expect(blob.status, digest).toBe(200);
    expect(Number(blob.headers["content-length"])).toBe(size);
  }
}

async function refusesWrites(): Promise<void> {
  expectRefusal(await asked("POST", `${repository()}/blobs/uploads/`));
  expectRefusal(await asked("PATCH", `${repository()}/blobs/uploads/0a-1b`, "some of a layer"));
  expectRefusal(await asked("PUT", `${repository()}/manifests/2`, "{}"));
  expectRefusal(await asked("DELETE", `${repository()}/manifests/${pushed}`));
}

async function refusesReads(): Promise<void> {
  for (const what of [`manifests/${pushed}`, `blobs/${pushed}`, "tags/list"])
    expectRefusal(await asked("GET", `${repository()}/${what}`, undefined, AT_ONCE_MS));
}

/** Swarm starts a member that was killed anew; one that it shall not run stays away. */
const scale = (node: string, to: number): Promise<string> =>
  lab.mustRoot("coreos1", `docker service scale --detach minio-${node}=${to}`);

async function isWhole(): Promise<void> {
  const seconds = await eventually(PATIENCE, async () => {
    expect((await asked("POST", `${repository()}/blobs/uploads/`)).status).toBe(202);
  });
  console.log(`pushes pass ${Math.round(seconds)} s after the members were told to come back`);
  await eventually(PATIENCE, () => expectSpareStorage(lab));
  await pulls();
  await eventually(PATIENCE, async () => void (await pushLayer(lab, access)));
  expect(await pushAndPull(lab.instance, access, helloArchive(lab))).toBe(pushed);
}

describe("with two MinIO stopped", () => {
  beforeAll(async () => {
    for (const node of pair) await scale(node, 0);
  });
  afterAll(async () => {
    for (const node of [...pair, "coreos2"]) await scale(node, 1);
  });

  test("pushes, patches and deletes are told why, and pulls work", async () => {
    const seconds = await eventually(PATIENCE, refusesWrites);
    console.log(`writes are refused ${Math.round(seconds)} s after the members were told to stop`);
    await eventually(PATIENCE, pulls);
    await refusesWrites();
  });

  test("and a third, everything is, at once", async () => {
    await scale("coreos2", 0);
    const seconds = await eventually(PATIENCE, refusesReads);
    console.log(`reads are refused ${Math.round(seconds)} s after the third member was told to stop`);
    await refusesWrites();
    await refusesReads();
  });

  test("nothing is lost when they are back", async () => {
    for (const node of [...pair, "coreos2"]) await scale(node, 1);
    await isWhole();
  });
});

afterAll(async () => expect(await lab.plan()).toEqual([]));
