/** Checks of the registry itself: login, certificate, push, pull, tags, catalog. */
import { createHash, randomBytes } from "node:crypto";
import type { AcceptanceInputs, CheckResult } from "../contract";
import { RegistryClient, uniqueTag } from "./client";
import type { Answer } from "./client";

const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const RENEWAL_DAYS = 14;

/** A check that found what it should not. Its text becomes the detail of a failed result. */
export class Finding extends Error {}

function expect(answer: Answer, statuses: readonly number[], what: string): Answer {
  if (statuses.includes(answer.status)) return answer;
  const body = answer.body.toString("utf8").replace(/\s+/g, " ").slice(0, 200);
  throw new Finding(
    `${what}: status ${answer.status}, not ${statuses.join(" or ")}${body === "" ? "" : ` (${body})`}`,
  );
}

export async function checkLogin(client: RegistryClient): Promise<string> {
  const without = await client.call("/v2/", { login: false });
  expect(without, [401], "GET /v2/ without credentials");
  if (without.headers["www-authenticate"] === undefined)
    throw new Finding("401 without a WWW-Authenticate header");
  expect(await client.call("/v2/"), [200], "GET /v2/ with credentials");
  return "401 without credentials, 200 with them";
}

export async function checkCertificate(client: RegistryClient, now = Date.now()): Promise<CheckResult> {
  const certificate = await client.certificate();
  const days = Math.floor((Date.parse(certificate.valid_to) - now) / 86_400_000);
  const detail = `valid for ${days} more days, for ${certificate.subjectaltname ?? "no name"}`;
  return { name: "certificate", status: days < RENEWAL_DAYS ? "warning" : "ok", detail };
}

const digestOf = (content: Buffer) => `sha256:${createHash("sha256").update(content).digest("hex")}`;

interface Pushed {
  readonly tag: string;
  readonly manifest: Buffer;
  readonly blobs: readonly Buffer[];
}

/** Pushes a small image, pulls it back by digest, finds its tag, and deletes it again. */
export async function checkPushAndPull(
  client: RegistryClient,
  { repository }: AcceptanceInputs,
): Promise<string> {
  const image = smallImage();
  const started = Date.now();
  try {
    for (const blob of image.blobs) await pushBlob(client, repository, blob);
    const put = await client.call(`/v2/${repository}/manifests/${image.tag}`, {
      method: "PUT",
      headers: { "Content-Type": MANIFEST },
      body: image.manifest,
    });
    checkLocation(client, expect(put, [201], "pushing the manifest"));
    await checkPull(client, repository, image);
  } finally {
    await removeImage(client, repository, image);
  }
  return `${digestOf(image.manifest)} pushed and pulled in ${Date.now() - started} ms`;
}

function smallImage(): Pushed {
  const layer = randomBytes(4096);
  const config = Buffer.from(
    JSON.stringify({
      architecture: "amd64",
      os: "linux",
      config: {},
      rootfs: { type: "layers", diff_ids: [digestOf(layer)] },
    }),
  );
  const part = (mediaType: string, content: Buffer) => ({
    mediaType,
    digest: digestOf(content),
    size: content.length,
  });
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: part("application/vnd.oci.image.config.v1+json", config),
      layers: [part("application/vnd.oci.image.layer.v1.tar", layer)],
    }),
  );
  return { tag: uniqueTag(), manifest, blobs: [config, layer] };
}

/** POST, PATCH and PUT go by connections of their own: any replica must be able to go on where another began. */
async function pushBlob(client: RegistryClient, repository: string, blob: Buffer): Promise<void> {
  const post = await client.call(`/v2/${repository}/blobs/uploads/`, { method: "POST" });
  const upload = checkLocation(client, expect(post, [202], "starting an upload"));
  const patch = await client.call(upload, {
    method: "PATCH",
    headers: { "Content-Type": "application/octet-stream" },
    body: blob,
  });
  const next = checkLocation(client, expect(patch, [202], "uploading"));
  const digest = digestOf(blob);
  const put = await client.call(
    `${next}${next.includes("?") ? "&" : "?"}digest=${encodeURIComponent(digest)}`,
    {
      method: "PUT",
    },
  );
  checkLocation(client, expect(put, [201], "ending an upload"));
}

/** The path of an answer's Location, which must lead through the front again. */
export function checkLocation(
  client: { readonly host: string },
  { headers }: Pick<Answer, "headers">,
): string {
  const { location } = headers;
  if (location === undefined) throw new Finding("an answer without a Location");
  if (location.startsWith("/")) return location;
  const url = new URL(location);
  if (url.protocol !== "https:" || url.host !== client.host) {
    throw new Finding(`Location leads to ${url.origin}, not to https://${client.host}`);
  }
  return url.pathname + url.search;
}

async function checkPull(client: RegistryClient, repository: string, image: Pushed): Promise<void> {
  const digest = digestOf(image.manifest);
  const accept = { Accept: MANIFEST };
  const byTag = await client.call(`/v2/${repository}/manifests/${image.tag}`, {
    method: "HEAD",
    headers: accept,
  });
  expect(byTag, [200], "asking for the tag");
  if (byTag.headers["docker-content-digest"] !== digest) {
    throw new Finding(
      `the tag leads to ${byTag.headers["docker-content-digest"] ?? "no digest"}, not to ${digest}`,
    );
  }
  const manifest = expect(
    await client.call(`/v2/${repository}/manifests/${digest}`, { headers: accept }),
    [200],
    "pulling the manifest",
  );
  for (const [wanted, answer] of [
    [image.manifest, manifest] as const,
    ...(await Promise.all(
      image.blobs.map(async (blob) => {
        const pulled = await client.call(`/v2/${repository}/blobs/${digestOf(blob)}`);
        return [blob, expect(pulled, [200], "pulling a blob")] as const;
      }),
    )),
  ]) {
    if (!wanted.equals(answer.body))
      throw new Finding(`what was pulled is not what was pushed (${digestOf(wanted)})`);
  }
  const tags = expect(await client.call(`/v2/${repository}/tags/list`), [200], "listing tags");
  const { tags: names } = JSON.parse(tags.body.toString("utf8")) as { tags: string[] | null };
  if (!names?.includes(image.tag)) throw new Finding("the pushed tag is not in the list of tags");
}

/** Best effort: what stays is small, and what the checks found matters more. */
async function removeImage(client: RegistryClient, repository: string, image: Pushed): Promise<void> {
  const paths = [
    `manifests/${digestOf(image.manifest)}`,
    ...image.blobs.map((blob) => `blobs/${digestOf(blob)}`),
  ];
  for (const path of paths)
    await client.call(`/v2/${repository}/${path}`, { method: "DELETE" }).catch(() => undefined);
}

export async function checkCatalog(client: RegistryClient): Promise<string> {
  const answer = expect(await client.call("/v2/_catalog?n=1"), [200], "GET /v2/_catalog");
  const { repositories } = JSON.parse(answer.body.toString("utf8")) as { repositories: string[] | null };
  return `the catalog can be read${repositories?.length === 0 ? " (empty)" : ""}`;
}
