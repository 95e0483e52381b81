import * as fs from "node:fs";
import * as path from "node:path";
import { LabError, must } from "../exec";
import { baseRoot, cached, keyOf } from "../roots";

/** What every emulated machine boots from: files that none of them changes. */
export interface MachineImage {
  /** ext4: the lab hosts' base, with udev and the kernel's modules. */
  readonly root: string;
  readonly kernel: string;
  /** Without the layer of any machine. */
  readonly initramfs: string;
}

const VERSION = 1;
const ROOT_SIZE = "4G";

const guestFile = (name: string): string => path.join(__dirname, "guest", name);

/** The image of all machines: the lab hosts' base with Debian's own kernel. Built once (about a minute), cached. */
export async function machineImage(): Promise<MachineImage> {
  const base = await baseRoot();
  const own = ["prepare.sh", "init"].map((name) => fs.readFileSync(guestFile(name), "utf8"));
  const key = keyOf(path.basename(base), String(VERSION), ROOT_SIZE, ...own);
  const folder = await cached("machines", key, (target) => build(base, target));
  return imageIn(folder);
}

function imageIn(folder: string): MachineImage {
  const file = (name: string): string => path.join(folder, name);
  return { root: file("root.img"), kernel: file("vmlinuz"), initramfs: file("initramfs") };
}

async function build(base: string, target: string): Promise<void> {
  const image = imageIn(target);
  const root = path.join(target, "root");
  await must("cp", ["-a", base, root]);
  // The base's own name server answers nobody; the machine's own is lent, in a mount namespace that ends with it.
  const lent = 'mount --bind /etc/resolv.conf "$1/etc/resolv.conf" && exec chroot "$1" /bin/bash -s';
  await must("unshare", ["-m", "sh", "-c", lent, "sh", root], {
    input: fs.readFileSync(guestFile("prepare.sh"), "utf8"),
    timeoutMs: 600_000,
  });
  fs.renameSync(path.join(root, "boot/vmlinuz"), image.kernel);
  await buildInitramfs(root, path.join(target, "initramfs.d"), image.initramfs);
  await must("rm", ["-rf", path.join(root, "boot")]);
  fs.mkdirSync(path.join(root, "boot"));
  await must("mke2fs", [
    ...["-q", "-t", "ext4", "-E", "lazy_itable_init=1,nodiscard"],
    ...["-d", root, image.root, ROOT_SIZE],
  ]);
  await must("rm", ["-rf", root, path.join(target, "initramfs.d")]);
}

async function buildInitramfs(root: string, folder: string, file: string): Promise<void> {
  const modules = path.join(folder, "modules");
  fs.mkdirSync(modules, { recursive: true });
  const order = fs.readFileSync(path.join(root, "boot/modules.order"), "utf8").trim().split("\n");
  const names: string[] = [];
  for (const module of order) {
    const name = path.basename(module).replace(/\.xz$/, "");
    const unpack = module.endsWith(".xz") ? "busybox xzcat" : "cat";
    await must("sh", ["-c", `${unpack} "$1" >"$2"`, "sh", path.join(root, module), path.join(modules, name)]);
    names.push(name);
  }
  fs.writeFileSync(path.join(modules, "order"), `${names.join("\n")}\n`);
  fs.copyFileSync("/bin/busybox", path.join(folder, "busybox"));
  fs.copyFileSync(guestFile("init"), path.join(folder, "init"));
  for (const program of ["busybox", "init"]) fs.chmodSync(path.join(folder, program), 0o755);
  await packInitramfs(folder, file);
}

/** Packs a folder as the kernel unpacks it: into the root of the initramfs. */
export async function packInitramfs(folder: string, file: string): Promise<void> {
  await must("sh", ["-c", 'cd "$1" && find . | busybox cpio -o -H newc >"$2"', "sh", folder, file]);
  if (fs.statSync(file).size < 1024) throw new LabError(`${file}: nothing was packed of ${folder}`);
}
