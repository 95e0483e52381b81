/** Part of the STAND-IN for VBoxManage: what it remembers between calls, in one file of its folder. */
import * as path from "node:path";
import { readIf, writeAtomic, type Recorded } from "../exec";
import { noMachine } from "./failure";

export interface Slot {
  readonly type: "hdd" | "dvddrive";
  /** A path, or `emptydrive`. */
  readonly medium: string;
}

export interface Machine {
  readonly name: string;
  readonly uuid: string;
  readonly folder: string;
  /** By the keys of `showvminfo --machinereadable`. */
  readonly settings: Record<string, string>;
  readonly extra: Record<string, string>;
  controller?: {
    readonly name: string;
    readonly type: string;
    readonly ports: number;
    readonly bootable?: string;
  };
  /** By `port-device`. */
  readonly slots: Record<string, Slot>;
  running: boolean;
  /** Off with its state saved, as `VMState` says it. */
  saved?: "saved" | "aborted-saved";
  /** Who starts or stops it at the moment. */
  session?: Recorded;
}

export interface Rule {
  readonly name: string;
  readonly protocol: string;
  readonly hostAddress: string;
  readonly hostPort: number;
  readonly guestAddress: string;
  readonly guestPort: number;
}

export interface Network {
  readonly name: string;
  prefix: string;
  enabled: boolean;
  dhcp: boolean;
  started: boolean;
  rules: Rule[];
}

export interface Medium {
  readonly uuid: string;
  readonly kind: "disk" | "dvd";
  /** MB, of disks. */
  size?: number;
}

export interface State {
  readonly machines: Machine[];
  readonly networks: Network[];
  readonly extra: Record<string, string>;
  readonly media: Record<string, Medium>;
}

/** The stand-in's folder. */
export class Home {
  private last: Promise<unknown> = Promise.resolve();

  constructor(readonly folder: string) {}

  get machineFolder(): string {
    return path.join(this.folder, "vms");
  }

  /** The version it passes itself off as. */
  get version(): string {
    return readIf(path.join(this.folder, "version"))?.trim() ?? "7.1.4r165100";
  }

  get major(): number {
    return Number(this.version.split(".")[0]);
  }

  /** Whether that is this version or a newer one. */
  isSince(...wanted: readonly number[]): boolean {
    const own = this.version.split(/[.r_]/).map(Number);
    const at = wanted.findIndex((part, index) => part !== (own[index] ?? 0));
    return at < 0 || (own[at] ?? 0) > (wanted[at] ?? 0);
  }

  read(): State {
    const text = readIf(path.join(this.folder, "state.json"));
    if (text !== undefined) return JSON.parse(text) as State;
    return { machines: [], networks: [], extra: {}, media: {} };
  }

  /** One at a time, as VirtualBox's own service does it: all changes are made by one process. */
  change<T>(work: (state: State) => T | Promise<T>): Promise<T> {
    const mine = this.last.then(async () => {
      const state = this.read();
      const result = await work(state);
      writeAtomic(path.join(this.folder, "state.json"), JSON.stringify(state, null, 2));
      return result;
    });
    this.last = mine.catch(() => undefined);
    return mine;
  }
}

export function machineNamed(state: State, name: string | undefined): Machine {
  const found = state.machines.find((one) => one.name === name || one.uuid === name);
  if (!found) throw noMachine(name ?? "");
  return found;
}
