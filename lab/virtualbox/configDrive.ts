/** Reads a config drive as a live system does; this machine's kernel need not know ISO 9660 for it. */
import * as fs from "node:fs";

const SECTOR = 2048;
const LABEL = "config-2";
const PATH = ["openstack", "latest", "user_data"];

interface Entry {
  readonly name: string;
  readonly at: number;
  readonly size: number;
}

/** The user data of an image, or undefined where it is no config drive. */
export function readConfigDrive(file: string): string | undefined {
  const image = fs.readFileSync(file);
  const joliet = descriptorOf(image, 2);
  if (!joliet || labelOf(joliet) !== LABEL) return undefined;
  let here: Entry | undefined = entryAt(joliet, 156);
  for (const name of PATH) {
    here = here && entriesIn(image, here).find((one) => one.name === name);
  }
  return here && image.toString("utf8", here.at * SECTOR, here.at * SECTOR + here.size);
}

/** The volume descriptor of a type; they begin at sector 16 and end with type 255. */
function descriptorOf(image: Buffer, type: number): Buffer | undefined {
  for (let at = 16 * SECTOR; at + SECTOR <= image.length; at += SECTOR) {
    if (image.toString("latin1", at + 1, at + 6) !== "CD001" || image[at] === 255) return undefined;
    if (image[at] === type) return image.subarray(at, at + SECTOR);
  }
  return undefined;
}

const labelOf = (descriptor: Buffer): string => wide(descriptor.subarray(40, 72)).trimEnd();

/** Joliet's text: UCS-2, the high byte first. */
function wide(bytes: Buffer): string {
  return Buffer.from(bytes).swap16().toString("utf16le");
}

function entryAt(bytes: Buffer, at: number): Entry {
  const length = bytes[at + 32] ?? 0;
  const id = bytes.subarray(at + 33, at + 33 + length);
  const name = length > 1 ? wide(id).replace(/;\d+$/, "") : "";
  return { name, at: bytes.readUInt32LE(at + 2), size: bytes.readUInt32LE(at + 10) };
}

function entriesIn(image: Buffer, folder: Entry): Entry[] {
  const bytes = image.subarray(folder.at * SECTOR, folder.at * SECTOR + folder.size);
  const entries: Entry[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = bytes[at] ?? 0;
    // No record crosses a sector; the rest of one is empty.
    if (length === 0) at = (Math.floor(at / SECTOR) + 1) * SECTOR;
    else {
      entries.push(entryAt(bytes, at));
      at += length;
    }
  }
  return entries;
}
