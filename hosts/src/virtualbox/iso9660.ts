/**
 * Writes ISO 9660 images of a few small files, as a config drive is: one path table of ISO 9660 names (level 2, in
 * capitals), and one of Joliet's, which keeps names as they are. Linux shows both with small letters.
 */

const SECTOR = 2048;
/** The first sectors belong to the system; then the primary descriptor, Joliet's, and the end of descriptors. */
const FIRST_FREE = 19;

interface Directory {
  readonly name: string;
  readonly parent: Directory | undefined;
  readonly directories: Directory[];
  readonly files: File[];
  /** Where its records lie, in the ISO 9660 tree and in Joliet's. */
  readonly at: { iso: number; joliet: number };
}

interface File {
  readonly name: string;
  readonly content: Buffer;
  at: number;
}

type Tree = "iso" | "joliet";

/** An image with files by path, such as `openstack/latest/user_data`; folders are made as needed. */
export function isoImageOf(
  label: string,
  files: Readonly<Record<string, string | Buffer>>,
  time = new Date(0),
): Buffer {
  if (!/^[A-Za-z0-9_-]{1,16}$/.test(label)) throw new Error(`"${label}" is no label of at most 16 letters`);
  const root = treeOf(files);
  const directories = inOrder(root);
  const all = directories.flatMap((one) => one.files);
  const tables = { iso: pathTableSize(directories, "iso"), joliet: pathTableSize(directories, "joliet") };
  // Two path tables of one sector each for both trees: some folders are all there ever is.
  if (Math.max(tables.iso, tables.joliet) > SECTOR) throw new Error("too many folders for one path table");
  let next = FIRST_FREE + 4;
  for (const tree of ["iso", "joliet"] as const) {
    for (const one of directories) {
      one.at[tree] = next;
      next += sectors(recordsOf(one, tree, time).length);
    }
  }
  for (const file of all) {
    file.at = next;
    next += sectors(file.content.length);
  }
  const image = Buffer.alloc(next * SECTOR);
  const put = (sector: number, content: Buffer) => content.copy(image, sector * SECTOR);
  put(16, descriptor("iso", label, root, next, tables.iso, time));
  put(17, descriptor("joliet", label, root, next, tables.joliet, time));
  put(18, Buffer.concat([Buffer.from([255]), Buffer.from("CD001"), Buffer.from([1])]));
  put(FIRST_FREE, pathTable(directories, "iso", "little"));
  put(FIRST_FREE + 1, pathTable(directories, "iso", "big"));
  put(FIRST_FREE + 2, pathTable(directories, "joliet", "little"));
  put(FIRST_FREE + 3, pathTable(directories, "joliet", "big"));
  for (const tree of ["iso", "joliet"] as const) {
    for (const one of directories) put(one.at[tree], recordsOf(one, tree, time));
  }
  for (const file of all) put(file.at, file.content);
  return image;
}

function treeOf(files: Readonly<Record<string, string | Buffer>>): Directory {
  const root = directory("", undefined);
  for (const [path, content] of Object.entries(files)) {
    const names = path.split("/");
    const last = names.pop() ?? "";
    let here = root;
    for (const name of names) {
      let inner = here.directories.find((one) => one.name === name);
      if (!inner) here.directories.push((inner = directory(checked(name), here)));
      here = inner;
    }
    here.files.push({ name: checked(last), content: Buffer.from(content), at: 0 });
  }
  return root;
}

function directory(name: string, parent: Directory | undefined): Directory {
  return { name, parent, directories: [], files: [], at: { iso: 0, joliet: 0 } };
}

/** Names that both trees can hold, one with capitals. */
function checked(name: string): string {
  if (/^[a-z0-9_]{1,30}$/.test(name)) return name;
  throw new Error(`"${name}" is no name of at most 30 small letters, digits and underscores`);
}

/** A folder before what is in it, level by level, as a path table wants them. */
function inOrder(root: Directory): Directory[] {
  const found = [root];
  // It grows as it is walked.
  for (const each of found) found.push(...sorted(each.directories));
  return found;
}

function sorted<T extends { readonly name: string }>(entries: readonly T[]): T[] {
  return [...entries].sort((one, other) => (one.name < other.name ? -1 : 1));
}

function identifier(name: string, tree: Tree, isFile: boolean): Buffer {
  const version = isFile ? ";1" : "";
  if (tree === "iso") return Buffer.from(`${name.toUpperCase()}${isFile ? "." : ""}${version}`, "ascii");
  return Buffer.from(`${name}${version}`, "utf16le").swap16();
}

const sectors = (bytes: number): number => Math.max(1, Math.ceil(bytes / SECTOR));

/** A number of 32 bits in both byte orders. */
function both32(value: number): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeUInt32LE(value, 0);
  buffer.writeUInt32BE(value, 4);
  return buffer;
}

function both16(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt16LE(value, 0);
  buffer.writeUInt16BE(value, 2);
  return buffer;
}

function record(id: Buffer, at: number, size: number, isDirectory: boolean, time: Date): Buffer {
  const length = 33 + id.length + (id.length % 2 === 0 ? 1 : 0);
  const buffer = Buffer.alloc(length);
  buffer[0] = length;
  both32(at).copy(buffer, 2);
  both32(size).copy(buffer, 10);
  [
    time.getUTCFullYear() - 1900,
    time.getUTCMonth() + 1,
    time.getUTCDate(),
    time.getUTCHours(),
    time.getUTCMinutes(),
    time.getUTCSeconds(),
    0,
  ].forEach((part, index) => (buffer[18 + index] = part));
  buffer[25] = isDirectory ? 2 : 0;
  both16(1).copy(buffer, 28);
  buffer[32] = id.length;
  id.copy(buffer, 33);
  return buffer;
}

/** The records of a folder: itself, its parent, then what is in it by name. No record crosses a sector. */
function recordsOf(one: Directory, tree: Tree, time: Date): Buffer {
  const own = (which: Directory, id: number) =>
    record(Buffer.from([id]), which.at[tree], sizeOf(which, tree), true, time);
  const inner = sorted([
    ...one.directories.map((each) => ({
      name: each.name,
      record: record(identifier(each.name, tree, false), each.at[tree], sizeOf(each, tree), true, time),
    })),
    ...one.files.map((each) => ({
      name: each.name,
      record: record(identifier(each.name, tree, true), each.at, each.content.length, false, time),
    })),
  ]);
  return packed([own(one, 0), own(one.parent ?? one, 1), ...inner.map((each) => each.record)]);
}

/** The size of a folder does not depend on where things lie, so it can be told before that is known. */
function sizeOf(one: Directory, tree: Tree): number {
  const lengths = [
    34,
    34,
    ...one.directories.map((each) => recordLength(identifier(each.name, tree, false))),
    ...one.files.map((each) => recordLength(identifier(each.name, tree, true))),
  ];
  return packed(lengths.map((length) => Buffer.alloc(length))).length;
}

const recordLength = (id: Buffer): number => 33 + id.length + (id.length % 2 === 0 ? 1 : 0);

/** Puts records one after the other into whole sectors. */
function packed(records: readonly Buffer[]): Buffer {
  const parts: Buffer[] = [];
  let used = 0;
  for (const each of records) {
    if ((used % SECTOR) + each.length > SECTOR) {
      const rest = SECTOR - (used % SECTOR);
      parts.push(Buffer.alloc(rest));
      used += rest;
    }
    parts.push(each);
    used += each.length;
  }
  const rest = (SECTOR - (used % SECTOR)) % SECTOR;
  return Buffer.concat([...parts, Buffer.alloc(rest)]);
}

function pathTableSize(directories: readonly Directory[], tree: Tree): number {
  return directories.reduce((size, one) => size + pathEntry(one, directories, tree, "little").length, 0);
}

function pathTable(directories: readonly Directory[], tree: Tree, order: "little" | "big"): Buffer {
  return Buffer.concat(directories.map((one) => pathEntry(one, directories, tree, order)));
}

function pathEntry(
  one: Directory,
  directories: readonly Directory[],
  tree: Tree,
  order: "little" | "big",
): Buffer {
  const id = one.parent ? identifier(one.name, tree, false) : Buffer.from([0]);
  const buffer = Buffer.alloc(8 + id.length + (id.length % 2));
  const parent = directories.indexOf(one.parent ?? one) + 1;
  buffer[0] = id.length;
  if (order === "little") {
    buffer.writeUInt32LE(one.at[tree], 2);
    buffer.writeUInt16LE(parent, 6);
  } else {
    buffer.writeUInt32BE(one.at[tree], 2);
    buffer.writeUInt16BE(parent, 6);
  }
  id.copy(buffer, 8);
  return buffer;
}

/** A volume descriptor, by the byte positions of ECMA-119, section 8.4 and 8.5. */
function descriptor(
  tree: Tree,
  label: string,
  root: Directory,
  total: number,
  tableSize: number,
  time: Date,
): Buffer {
  const buffer = Buffer.alloc(SECTOR);
  const text = (at: number, length: number, value: string) => {
    const field =
      tree === "iso"
        ? Buffer.from(value.padEnd(length), "ascii")
        : Buffer.from(value.padEnd(length / 2), "utf16le").swap16();
    field.copy(buffer, at, 0, length);
  };
  buffer[0] = tree === "iso" ? 1 : 2;
  buffer.write("CD001", 1, "ascii");
  buffer[6] = 1;
  text(8, 32, "");
  text(40, 32, label);
  both32(total).copy(buffer, 80);
  // Joliet's mark: UCS-2, level 3.
  if (tree === "joliet") buffer.write("%/E", 88, "ascii");
  both16(1).copy(buffer, 120);
  both16(1).copy(buffer, 124);
  both16(SECTOR).copy(buffer, 128);
  both32(tableSize).copy(buffer, 132);
  const table = FIRST_FREE + (tree === "iso" ? 0 : 2);
  buffer.writeUInt32LE(table, 140);
  buffer.writeUInt32BE(table + 1, 148);
  record(Buffer.from([0]), root.at[tree], sizeOf(root, tree), true, time).copy(buffer, 156);
  for (const at of [190, 318, 446, 574]) text(at, 128, "");
  for (const at of [702, 739]) text(at, 36, "");
  text(776, 36, "");
  const stamp = `${time.toISOString().replace(/\D/g, "").slice(0, 16)}\0`;
  buffer.write(stamp, 813, "latin1");
  buffer.write(stamp, 830, "latin1");
  buffer.write("0".repeat(16), 847, "latin1");
  buffer.write(stamp, 864, "latin1");
  buffer[881] = 1;
  return buffer;
}
