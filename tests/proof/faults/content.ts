/** Images whose every byte follows from a seed: what comes back is compared with what was sent. */
import { createCipheriv, createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

export const SMALLEST = 4 * 1024;

export interface Blob {
  readonly digest: string;
  readonly size: number;
}

/** The digest of an image's manifest, and the blobs it names. */
export interface Image {
  readonly digest: string;
  readonly blobs: readonly Blob[];
}

export const digestOf = (bytes: Buffer | string): string =>
  `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

/** Numbers from 0 to 1, 1 excluded, the same for the same seed. */
export function numbersOf(seed: string): () => number {
  let count = 0;
  return () => createHash("sha256").update(`${seed}/${count++}`).digest().readUInt32BE() / 2 ** 32;
}

/** The same items in an order that the seed decides. */
export function shuffled<T>(items: readonly T[], seed: string): T[] {
  const next = numbersOf(seed);
  const keyed = items.map((item) => ({ item, key: next() }));
  return keyed.sort((one, other) => one.key - other.key).map(({ item }) => item);
}

/** Sizes of one or two layers, of all orders of magnitude up to `most` bytes. */
export function layerSizes(seed: string, most: number): number[] {
  const next = numbersOf(`${seed}/sizes`);
  const count = next() < 0.5 ? 1 : 2;
  return Array.from({ length: count }, () => Math.round(SMALLEST * (most / SMALLEST) ** next()));
}

/** Bytes that do not compress. */
function noise(seed: string, length: number): Buffer {
  const key = createHash("sha256").update(seed).digest();
  return createCipheriv("aes-256-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(length));
}

/** A tar of one file. */
function tarOf(name: string, content: Buffer): Buffer {
  const header = Buffer.alloc(512);
  const octal = (value: number, length: number): string => `${value.toString(8).padStart(length - 1, "0")}\0`;
  const fields: [number, string][] = [
    [0, name],
    [100, octal(0o644, 8)],
    [108, octal(0, 8)],
    [116, octal(0, 8)],
    [124, octal(content.length, 12)],
    [136, octal(0, 12)],
    [148, " ".repeat(8)],
    [156, "0"],
    [257, "ustar\0"],
    [263, "00"],
  ];
  for (const [at, text] of fields) header.write(text, at, "latin1");
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  const padding = Buffer.alloc((512 - (content.length % 512)) % 512);
  return Buffer.concat([header, content, padding, Buffer.alloc(1024)]);
}

/** Writes the image of a seed as a folder for skopeo (transport `dir`). @param sizes bytes of each layer's file */
export function writeImage(folder: string, seed: string, sizes: readonly number[]): Image {
  fs.mkdirSync(folder, { recursive: true });
  const put = (bytes: Buffer): Blob => {
    const digest = digestOf(bytes);
    fs.writeFileSync(path.join(folder, digest.slice("sha256:".length)), bytes);
    return { digest, size: bytes.length };
  };
  const layers = sizes.map((size, index) => put(tarOf(`content-${index}`, noise(`${seed}/${index}`, size))));
  const platform = { architecture: "amd64", os: "linux", created: "1970-01-01T00:00:00Z", author: seed };
  const rootfs = { type: "layers", diff_ids: layers.map(({ digest }) => digest) };
  const config = put(Buffer.from(JSON.stringify({ ...platform, config: {}, rootfs })));
  const type = (kind: string): string => `application/vnd.oci.image.${kind}`;
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: type("manifest.v1+json"),
    config: { mediaType: type("config.v1+json"), ...config },
    layers: layers.map((layer) => ({ mediaType: type("layer.v1.tar"), ...layer })),
  });
  fs.writeFileSync(path.join(folder, "manifest.json"), manifest);
  fs.writeFileSync(path.join(folder, "version"), "Directory Transport Version: 1.1\n");
  return { digest: digestOf(manifest), blobs: [config, ...layers] };
}

/** What differs in a folder that skopeo wrote from what was pushed. */
export function differences(folder: string, { digest, blobs }: Image): string[] {
  const found = (name: string): string => {
    const file = path.join(folder, name);
    return fs.existsSync(file) ? digestOf(fs.readFileSync(file)) : "nothing";
  };
  const pairs = [
    ["manifest.json", digest],
    ...blobs.map((blob) => [blob.digest.slice("sha256:".length), blob.digest]),
  ];
  return pairs.flatMap(([name = "", wanted]) => {
    const came = found(name);
    return came === wanted ? [] : [`${came} came back in place of ${wanted}`];
  });
}
