import { createCipheriv, createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { must } from "./exec";

/** What a container of the image starts with; names as in the image specification. */
export interface ImageConfig {
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Env?: readonly string[];
  readonly User?: string;
  readonly WorkingDir?: string;
  readonly StopSignal?: string;
  readonly ExposedPorts?: Readonly<Record<string, Record<string, never>>>;
}

/** One layer as a tar file, with the digest of its content. */
export interface Layer {
  readonly file: string;
  readonly digest: string;
}

/** A written archive: its file, and the ID the image has after `docker load`, on any host. */
export interface Archive {
  readonly file: string;
  readonly tag: string;
  readonly id: string;
}

const TAR = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--format=gnu"];

/** The sha256 of a file, as hex. */
export async function sha256(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of fs.createReadStream(file, { highWaterMark: 1 << 20 }))
    hash.update(chunk as Buffer);
  return hash.digest("hex");
}

/** Packs a folder into a layer. The same content gives the same bytes. */
export async function packLayer(folder: string, file: string): Promise<Layer> {
  await must("tar", [...TAR, "-C", folder, "-cf", file, "."]);
  return { file, digest: await sha256(file) };
}

/** Writes a docker-archive out of layers that were packed before. */
export async function writeArchive(
  file: string,
  tag: string,
  config: ImageConfig,
  layers: readonly Layer[],
): Promise<Archive> {
  const document = {
    architecture: process.arch === "arm64" ? "arm64" : "amd64",
    config,
    created: "1970-01-01T00:00:00Z",
    history: layers.map(() => ({ created: "1970-01-01T00:00:00Z", created_by: "moorage lab" })),
    os: "linux",
    rootfs: { type: "layers", diff_ids: layers.map((layer) => `sha256:${layer.digest}`) },
  };
  const text = JSON.stringify(document);
  const id = createHash("sha256").update(text).digest("hex");
  const folder = `${file}.parts`;
  await must("rm", ["-rf", folder]);
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(path.join(folder, `${id}.json`), text);
  for (const layer of layers) {
    fs.mkdirSync(path.join(folder, layer.digest));
    fs.linkSync(layer.file, path.join(folder, layer.digest, "layer.tar"));
  }
  const manifest = [
    { Config: `${id}.json`, RepoTags: [tag], Layers: layers.map((layer) => `${layer.digest}/layer.tar`) },
  ];
  fs.writeFileSync(path.join(folder, "manifest.json"), JSON.stringify(manifest));
  await must("tar", [...TAR, "--hard-dereference", "-C", folder, "-cf", `${file}.new`, "."]);
  fs.renameSync(`${file}.new`, file);
  await must("rm", ["-rf", folder]);
  return { file, tag, id: `sha256:${id}` };
}

/** Bytes that do not compress and are the same for the same seed. */
function noise(seed: string, length: number): Buffer {
  const key = createHash("sha256").update(seed).digest();
  return createCipheriv("aes-256-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(length));
}

/** An image to push and pull: layers of the given sizes, made of noise that follows from the seed. */
export async function writeTestImage(
  file: string,
  options: { readonly tag: string; readonly layerBytes: readonly number[]; readonly seed?: string },
): Promise<Archive> {
  const work = `${file}.layers`;
  await must("rm", ["-rf", work]);
  const layers: Layer[] = [];
  for (const [index, length] of options.layerBytes.entries()) {
    const folder = path.join(work, String(index));
    fs.mkdirSync(folder, { recursive: true });
    fs.writeFileSync(
      path.join(folder, `layer-${index}`),
      noise(`${options.seed ?? "moorage"}/${index}`, length),
      { mode: 0o644 },
    );
    layers.push(await packLayer(folder, `${folder}.tar`));
  }
  const archive = await writeArchive(file, options.tag, { Cmd: ["/layer-0"] }, layers);
  await must("rm", ["-rf", work]);
  return archive;
}
