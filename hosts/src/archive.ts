/** Reading a `docker save` archive: which image is in it. */
import { closeSync, openSync, readSync } from "node:fs";

const BLOCK = 512;
const LARGEST_MANIFEST = 4 * 1024 * 1024;

interface Entry {
  readonly name: string;
  readonly size: number;
  readonly next: number;
}

/**
 * The id, `sha256:…`, that the image of a `docker save` archive (plain tar) has once loaded.
 * Reads headers only, and skips the layers.
 * @throws when the file is no such archive, or holds more than one image.
 */
export function imageIdOfArchive(path: string): string {
  const file = openSync(path, "r");
  try {
    for (let at = 0, entry = header(file, at, path); entry; at = entry.next, entry = header(file, at, path)) {
      if (entry.name.replace(/^\.\//, "") !== "manifest.json") continue;
      if (entry.size > LARGEST_MANIFEST) throw new Error(`${path}: its manifest.json is too large`);
      return idOf(read(file, at + BLOCK, entry.size).toString("utf8"), path);
    }
  } finally {
    closeSync(file);
  }
  throw new Error(`${path} holds no manifest.json: make it with \`docker save -o ${path} IMAGE\``);
}

function idOf(text: string, path: string): string {
  const images = JSON.parse(text) as { Config?: string }[];
  if (images.length !== 1)
    throw new Error(`${path} holds ${images.length} images; save one image to an archive`);
  // `<digest>.json` in the older layout, `blobs/sha256/<digest>` in the OCI one.
  const digest = /([0-9a-f]{64})(\.json)?$/.exec(images[0]?.Config ?? "")?.[1];
  if (digest === undefined) throw new Error(`${path}: its manifest.json names no image configuration`);
  return `sha256:${digest}`;
}

function header(file: number, at: number, path: string): Entry | undefined {
  const block = read(file, at, BLOCK);
  if (block.length < BLOCK || block.every((byte) => byte === 0)) return undefined;
  if (block.toString("latin1", 257, 262) !== "ustar") {
    throw new Error(`${path} is no plain tar archive; if it is compressed, unpack it first`);
  }
  const size = number(block.subarray(124, 136));
  return { name: text(block.subarray(0, 100)), size, next: at + BLOCK + Math.ceil(size / BLOCK) * BLOCK };
}

function text(field: Buffer): string {
  const end = field.indexOf(0);
  return field.toString("utf8", 0, end === -1 ? field.length : end);
}

/** Octal, or base 256 with the first bit set for entries of 8 GiB and more. */
function number(field: Buffer): number {
  if ((field[0] ?? 0) & 0x80) return Number(field.subarray(4).readBigUInt64BE());
  return parseInt(text(field).trim() || "0", 8);
}

function read(file: number, at: number, length: number): Buffer {
  const buffer = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const count = readSync(file, buffer, filled, length - filled, at + filled);
    if (count === 0) break;
    filled += count;
  }
  return buffer.subarray(0, filled);
}
