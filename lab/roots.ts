import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { cacheRoot, lastWords, madeOnce } from "../toolchain";
import { LabError, must, run, writeAtomic } from "./exec";

const SUITE = "trixie";

/** Debian packages in the base of every host. */
const PACKAGES = [
  "systemd",
  "systemd-sysv",
  "dbus",
  "openssh-server",
  "docker.io",
  "docker-cli",
  "iptables",
  "iproute2",
  "iputils-ping",
  "libnss-myhostname",
  "libnss-systemd",
  "sudo",
  "curl",
  "ca-certificates",
  "xfsprogs",
  "e2fsprogs",
  "ignition",
  "procps",
  "less",
  "kmod",
];

/** What of this repository is in the base: by name in `guestDir`, the folder it goes to. */
const programs: Readonly<Record<string, string>> = {
  init: "usr/lib/moorage-lab",
  links: "usr/lib/moorage-lab",
  "update-ssh-keys": "usr/bin",
};

/** Where the stand-ins for hosts lie in this repository. */
export const guestDir = path.join(__dirname, "guest");

/** The Debian mirror this machine itself uses. */
export async function debianMirror(): Promise<string> {
  const listed = await run("apt-get", ["indextargets", "--format", "$(LABEL)|$(SITE)"]);
  const site = listed.stdout.split("\n").find((line) => line.startsWith("Debian|"));
  if (site !== undefined) return site.slice("Debian|".length).trim();
  throw new LabError(
    "no Debian mirror found in this machine's apt sources: the lab's hosts are made of Debian packages",
  );
}

/** A short digest of texts, as a key in the cache. */
export function keyOf(...parts: readonly string[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part).update("\0");
  return hash.digest("hex").slice(0, 12);
}

/** Gives back `<cache>/<kind>/<name>`, made by `build` where it is not there yet; whole or not at all. */
export function cached(
  kind: string,
  name: string,
  build: (temporary: string) => Promise<void>,
): Promise<string> {
  const target = path.join(cacheRoot(process.env), kind, name);
  return madeOnce(target, `${kind} ${name}`, (line) => console.error(line), build);
}

/** The keys that Debian's own packages are signed with. */
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** Makes a Debian root of the given suite with mmdebstrap. */
export async function debianRoot(suite: string, packages: readonly string[], target: string): Promise<void> {
  const made = await run("mmdebstrap", [
    "--mode=root",
    "--variant=minbase",
    ...(fs.existsSync(KEYRING) ? [`--keyring=${KEYRING}`] : []),
    // A site's own mirror may be older than its suite says that it is good for.
    '--aptopt=Acquire::Check-Valid-Until "false"',
    `--include=${packages.join(",")}`,
    suite,
    target,
    await debianMirror(),
  ]);
  if (made.code === 0) return;
  const log = path.join(cacheRoot(process.env), "logs", `mmdebstrap-${suite}.log`);
  writeAtomic(log, made.output);
  const errors = made.output.split("\n").filter((line) => /^E: /.test(line));
  throw new LabError(
    `mmdebstrap of Debian ${suite} failed (${lastWords(errors.join("\n"), 2)}): see ${log}, and check that the mirror of this machine's apt answers`,
  );
}

function guestFile(name: string): string {
  return fs.readFileSync(path.join(guestDir, name), "utf8");
}

/** The base root of all hosts: Debian with systemd, sshd, Docker and Ignition. Built once, cached. */
export async function baseRoot(): Promise<string> {
  const rawKey = keyOf(SUITE, ...PACKAGES);
  const customize = guestFile("customize.sh");
  const key = keyOf(rawKey, customize, ...Object.keys(programs).map(guestFile));
  return cached("roots", `base-${key}`, async (target) => {
    const raw = await cached("roots", `${SUITE}-${rawKey}`, (folder) => debianRoot(SUITE, PACKAGES, folder));
    // Hard links: customize.sh replaces files, and never writes into one.
    await must("cp", ["-al", `${raw}/.`, target]);
    for (const [name, folder] of Object.entries(programs)) {
      const program = path.join(target, folder, name);
      fs.mkdirSync(path.dirname(program), { recursive: true });
      fs.copyFileSync(path.join(guestDir, name), program);
      fs.chmodSync(program, 0o755);
    }
    await must("chroot", [target, "/bin/bash", "-s"], { input: customize });
  });
}
