/** The system's image from a file on the operator's machine, brought to a live system that has no internet. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { extname } from "node:path";
import { pipeline } from "node:stream/promises";
import type { Connection, SystemImage } from "../contract";
import { HostError, messageOf } from "../errors";
import { note } from "../log";
import { exec, runScript } from "../ssh/exec";
import type { Deadline } from "../time";

/** In the live system's root, which is in memory; /run is as well, and smaller. */
const IMAGE_FOLDER = "/var/tmp/moorage";
const MEBI = 1024 * 1024;

/** `$1` file, `$2` sha512 or sha256. Prints the checksum of what is there, or nothing, and the free KiB. */
const lookScript = `
mkdir -p ${IMAGE_FOLDER}
echo "sum=$("$2sum" "$1" 2>/dev/null | cut -d ' ' -f 1)"
df -Pk ${IMAGE_FOLDER} | { read -r head; read -r system blocks used free rest; echo "free=$free"; }
`;

/**
 * Reads the image from standard input. A connection that is lost looks like the image's end, so that its size tells
 * whether all of it came. `$1` file, `$2` size in bytes.
 */
const receiveScript = `umask 077
trap 'rm -f "$1.part"' EXIT
cat > "$1.part" || exit
size=$(wc -c < "$1.part")
if [ "$size" -ne "$2" ]; then echo "$size of $2 bytes came" >&2; exit 1; fi
mv -f "$1.part" "$1"
`;

type Checked = Pick<SystemImage, "path"> & { readonly algorithm: "sha512" | "sha256"; readonly sum: string };

/** @throws Error where the image has no checksum, which the configuration does not let pass. */
function checked({ path, sha512, sha256 }: SystemImage): Checked {
  if (sha512 !== undefined) return { path, algorithm: "sha512", sum: sha512 };
  if (sha256 !== undefined) return { path, algorithm: "sha256", sum: sha256 };
  throw new Error(`the image ${path} has no checksum`);
}

/** Checksums of files by what they were when read: all nodes are given the same one. */
const known = new Map<string, Promise<string>>();

async function sumOf({ path, algorithm }: Checked): Promise<string> {
  const { size, mtimeMs } = await stat(path);
  const key = `${algorithm} ${size} ${mtimeMs} ${path}`;
  const read = async () => {
    const hash = createHash(algorithm);
    await pipeline(createReadStream(path), hash);
    return hash.digest("hex");
  };
  const sum = known.get(key) ?? read();
  known.set(key, sum);
  sum.catch(() => known.delete(key));
  return sum;
}

/** What is wrong with the file, in a sentence with what to do; `undefined` where it is the one of its checksum. */
export async function imageFault(image: SystemImage): Promise<string | undefined> {
  const wanted = checked(image);
  try {
    const sum = await sumOf(wanted);
    if (sum === wanted.sum) return undefined;
    return (
      `the image ${image.path} has another checksum: ${wanted.algorithm} ${sum}, wanted ${wanted.sum}. ` +
      "Fetch it anew, or correct `os.image`"
    );
  } catch (error) {
    return `the image ${image.path} cannot be read: ${messageOf(error)}. Put it there, or correct \`os.image.path\``;
  }
}

/**
 * Brings the image to the live system, unless an earlier run did, and checks it there.
 * @returns its path there, which ends as the image's own does: flatcar-install goes by that.
 */
export async function bringImage(
  installer: Connection,
  image: SystemImage,
  deadline: Deadline,
): Promise<string> {
  const { node } = installer;
  const fault = await imageFault(image);
  if (fault !== undefined) throw new HostError(node, fault);
  const wanted = checked(image);
  const file = `${IMAGE_FOLDER}/image${extname(image.path)}`;
  const before = await look(installer, file, wanted, deadline);
  if (before.sum === wanted.sum) {
    note(node, `has the image ${image.path} already`);
    return file;
  }
  const { size } = await stat(image.path);
  if (size > before.freeBytes) {
    throw new HostError(
      node,
      `the image ${image.path} needs ${mebibytes(size)} MiB in ${IMAGE_FOLDER} of the live system, where ${mebibytes(before.freeBytes)} are free. ` +
        "The live system keeps its files in memory, half of it at most: give the machine more, or use a packed image",
    );
  }
  const started = Date.now();
  note(node, `sending the image ${image.path} (${mebibytes(size)} MiB)`);
  await exec(installer, ["sh", "-c", receiveScript, "sh", file, String(size)], {
    sudo: true,
    stdin: createReadStream(image.path, { highWaterMark: 256 * 1024 }),
    timeoutSeconds: deadline.left(60),
    purpose: `sending the image ${image.path}`,
  });
  const after = await look(installer, file, wanted, deadline);
  if (after.sum !== wanted.sum) {
    throw new HostError(
      node,
      `the image arrived as another one: ${wanted.algorithm} ${after.sum || "of no file"}, wanted ${wanted.sum}. ` +
        "The disk was not touched; run again, and if it comes again test the machine's memory",
    );
  }
  note(
    node,
    `the image is there, and has its checksum, after ${Math.round((Date.now() - started) / 1000)} s`,
  );
  return file;
}

async function look(
  installer: Connection,
  file: string,
  { algorithm }: Checked,
  deadline: Deadline,
): Promise<{ readonly sum: string; readonly freeBytes: number }> {
  const { stdout } = await runScript(installer, lookScript, [file, algorithm], {
    sudo: true,
    timeoutSeconds: deadline.left(60),
    purpose: "looking at the image there",
  });
  const value = (key: string) => new RegExp(`^${key}=(.*)$`, "m").exec(stdout)?.[1]?.trim() ?? "";
  return { sum: value("sum"), freeBytes: Number(value("free")) * 1024 };
}

function mebibytes(bytes: number): number {
  return Math.ceil(bytes / MEBI);
}
