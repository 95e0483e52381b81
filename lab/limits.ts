import * as fs from "node:fs";
import * as path from "node:path";
import { readIf, writeAtomic } from "./exec";
import { labRoot } from "./instance";
import type { Log } from "../toolchain";

/** Every systemd takes some, and all hosts share the machine's: the kernel's default of 128 does for two labs. */
const instances = { file: "/proc/sys/fs/inotify/max_user_instances", wanted: 1024 };

const before = (): string => path.join(labRoot(), "max_user_instances.before");

/** Raises the one limit of the machine that labs run into, and remembers what it was. */
export function raiseLimits(say: Log): void {
  const now = Number(readIf(instances.file));
  if (now >= instances.wanted) return;
  if (readIf(before()) === undefined) writeAtomic(before(), `${now}\n`);
  fs.writeFileSync(instances.file, String(instances.wanted));
  say(
    `  fs.inotify.max_user_instances raised from ${now} to ${instances.wanted}, until the last lab is cleaned`,
  );
}

/** Puts the limit back where it was, once no lab is left. */
export function restoreLimits(): void {
  const was = readIf(before())?.trim();
  const left = fs.readdirSync(labRoot()).filter((name) => /^[0-9]$/.test(name));
  if (was === undefined || left.length > 0) return;
  fs.writeFileSync(instances.file, was);
  fs.rmSync(before());
}
