/** VBoxManage: found, its version known, its failures told. */
import { CommandError, HostError, lastLines } from "../errors";
import { warn } from "../log";
import type { Patience } from "../ssh/connect";
import { quote } from "../ssh/quote";
import { sleep } from "../time";
import type { Hypervisor } from "./contract";
import { parseLine } from "./parse";
import { keyOf, nameOf, runOn, scriptOn } from "./run";
import { parseVersion, requireUsable } from "./version";
import type { Version } from "./version";

/**
 * Looks where VirtualBox's packages for Linux, macOS and Windows (as Git's bash names it) put it. `$1` one configured.
 * @param root stands before all paths, for tests
 */
export function findScript(root = ""): string {
  return `
root=${quote(root)}
for each in "$1" "$(command -v VBoxManage 2>/dev/null)" "$root/usr/bin/VBoxManage" "$root/usr/local/bin/VBoxManage" \\
  "$root/opt/VirtualBox/VBoxManage" "$root/Applications/VirtualBox.app/Contents/MacOS/VBoxManage" \\
  "\${VBOX_MSI_INSTALL_PATH:+\${VBOX_MSI_INSTALL_PATH%[\\\\/]}/VBoxManage.exe}" \\
  "$root/c/Program Files/Oracle/VirtualBox/VBoxManage.exe"; do
  if [ -n "$each" ] && [ -x "$each" ]; then printf 'path: %s\\n' "$each"; break; fi
  if [ -n "$1" ]; then break; fi
done
`;
}

const LOCK_ATTEMPTS = 20;
const LOCK_PAUSE_SECONDS = 1;

export interface ManageOptions {
  readonly timeoutSeconds?: number;
  /** What the command is for, in error messages. */
  readonly purpose: string;
  /** What to do when it fails. */
  readonly advice?: string;
}

interface Found {
  readonly path: string;
  readonly version: Version;
  readonly folder: string;
  /** What its `list ostypes` prints, once somebody has asked. */
  osTypes?: Promise<string>;
}

const found = new Map<string, Promise<Found>>();

/** One VirtualBox and its commands. */
export class Manage {
  private constructor(
    private readonly hypervisor: Hypervisor,
    private readonly found: Found,
    /** Folder of guests, disks and images. */
    readonly folder: string,
    /** Pause between attempts at a guest that another session holds. */
    private readonly pauseSeconds: number,
    private readonly patience: Patience | undefined,
  ) {}

  /** @throws HostError where there is no usable VirtualBox. */
  static async on(
    hypervisor: Hypervisor,
    options: { readonly patience?: Patience; readonly pauseSeconds?: number } = {},
  ): Promise<Manage> {
    const key = keyOf(hypervisor);
    let known = found.get(key);
    if (!known) {
      known = find(hypervisor, options.patience);
      found.set(key, known);
      known.catch(() => found.delete(key));
    }
    const there = await known;
    const pause = options.pauseSeconds ?? LOCK_PAUSE_SECONDS;
    return new Manage(hypervisor, there, hypervisor.folder ?? there.folder, pause, options.patience);
  }

  get version(): Version {
    return this.found.version;
  }

  /** All types of guests that it knows, asked once. */
  osTypes(): Promise<string> {
    const { found } = this;
    found.osTypes ??= this.run(["list", "ostypes"], { purpose: "listing the types of guests" });
    found.osTypes.catch(() => delete found.osTypes);
    return found.osTypes;
  }

  get name(): string {
    return nameOf(this.hypervisor);
  }

  /**
   * Runs VBoxManage. A guest that another session holds (a window that shows its settings, or the moment after it went
   * off) is tried again for a while.
   * @throws CommandError with VBoxManage's own words.
   */
  async run(args: readonly string[], options: ManageOptions): Promise<string> {
    for (let attempt = 1; ; attempt += 1) {
      const done = await runOn(this.hypervisor, ["env", "LC_ALL=C", this.found.path, ...args], {
        ...options,
        patience: this.patience,
      });
      // Some failures come with exit code 0.
      if (done.code === 0 && !/^VBoxManage[^:]*: error:/m.test(done.stderr)) return done.stdout;
      const locked = isLocked(done.stderr);
      if (locked && attempt < LOCK_ATTEMPTS) {
        if (attempt === 1)
          warn(this.name, `${options.purpose}: the guest is locked by another session, waiting`);
        await sleep(this.pauseSeconds * 1000);
        continue;
      }
      const advice = locked
        ? "Another session holds the guest: close VirtualBox's settings window for it, or end the program that does"
        : options.advice;
      throw new CommandError(
        this.name,
        `${options.purpose} failed (VBoxManage ${args[0] ?? ""}, exit code ${done.code}):\n` +
          `${lastLines(done.stderr) || lastLines(done.stdout)}${advice ? `\n${advice}` : ""}`,
        done.code,
        done.stderr,
      );
    }
  }
}

async function find(hypervisor: Hypervisor, patience?: Patience): Promise<Found> {
  const name = nameOf(hypervisor);
  const output = await scriptOn(hypervisor, findScript(), [hypervisor.vboxManage ?? ""], {
    purpose: "looking for VBoxManage",
    patience,
  });
  const path = parseLine(output, "path");
  if (path === undefined) {
    throw new HostError(
      name,
      hypervisor.vboxManage
        ? `there is no program ${hypervisor.vboxManage}; correct hypervisor.vboxManage in the configuration`
        : "VBoxManage was found nowhere: install VirtualBox there, or name its path in hypervisor.vboxManage",
    );
  }
  const at = (args: string[], purpose: string) =>
    runOn(hypervisor, ["env", "LC_ALL=C", path, ...args], { purpose, patience });
  const told = await at(["--version"], "asking VirtualBox for its version");
  const version = parseVersion(told.stdout);
  if (!version) {
    throw new HostError(
      name,
      `${path} --version says no version that can be read: ${lastLines(told.stdout + told.stderr, 2)}`,
    );
  }
  requireUsable(name, version);
  const properties = await at(["list", "systemproperties"], "asking VirtualBox for its machine folder");
  const folder = parseLine(properties.stdout, "Default machine folder");
  if (!folder && !hypervisor.folder) {
    throw new HostError(
      name,
      "VirtualBox names no default machine folder; set hypervisor.folder in the configuration",
    );
  }
  return { path, version, folder: (folder ?? "").replaceAll("\\", "/") };
}

/** The two sentences that VirtualBox has for it. */
export function isLocked(stderr: string): boolean {
  return /is already locked (by|for) a session/.test(stderr);
}

/** Whether a failure says that there is no such guest, network or medium. */
export function isMissing(error: unknown): boolean {
  return (
    error instanceof CommandError &&
    /Could not find a registered machine|VBOX_E_OBJECT_NOT_FOUND|VERR_FILE_NOT_FOUND|VERR_PATH_NOT_FOUND|does not exist|not found/.test(
      error.stderr,
    )
  );
}

/** Forgets what is known of hypervisors; a VirtualBox may be updated while a program runs on. */
export function forgetHypervisors(): void {
  found.clear();
}
