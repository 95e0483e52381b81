/** Disks of a test's own: loop devices, which take root. */
import { execFileSync } from "node:child_process";
import { closeSync, openSync, truncateSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { canSandbox } from "./sandbox";
import { afterwards, temporaryFolder } from "./stop";

export const MIB = 1024 * 1024;
export const DISK_MIB = 400;

/** What a program printed. */
export function run(program: string, ...args: string[]): string {
  return execFileSync(program, args, { stdio: ["ignore", "pipe", "ignore"] })
    .toString()
    .trim();
}

export const canLoop =
  canSandbox && ["losetup", "blkid"].every((tool) => run("sh", "-c", `command -v ${tool} || :`) !== "");

export class LoopDisk {
  private constructor(
    readonly device: string,
    private readonly file: string,
  ) {}

  /** A blank one; undefined where the machine has no loop devices. */
  static attach(): LoopDisk | undefined {
    const file = join(temporaryFolder(), "disk");
    writeFileSync(file, "");
    truncateSync(file, DISK_MIB * MIB);
    try {
      const device = run("losetup", "--show", "-f", file);
      afterwards(() => run("losetup", "-d", device));
      return new LoopDisk(device, file);
    } catch {
      return undefined;
    }
  }

  get label(): string {
    return run("sh", "-c", 'blkid -p -s LABEL -o value "$1" || :', "sh", this.device);
  }

  format(label: string): void {
    run("mkfs.ext4", "-q", "-L", label, this.device);
  }

  write(bytes: Uint8Array, at: number): void {
    const file = openSync(this.file, "r+");
    writeSync(file, bytes, 0, bytes.length, at);
    closeSync(file);
    this.forget();
  }

  /** Reading answers EIO from there on. */
  breakFrom(bytes: number): void {
    this.forget();
    truncateSync(this.file, bytes);
    this.forget();
  }

  private forget(): void {
    run("blockdev", "--flushbufs", this.device);
  }
}
