/** Part of the STAND-IN for VBoxManage: what its machines are made of. */
import * as fs from "node:fs";
import * as path from "node:path";
import { readIf, writeAtomic } from "../exec";
import type { Machine, Network } from "./state";

export interface Guests {
  isOn(machine: Machine): boolean;
  on(machine: Machine): Promise<void>;
  off(machine: Machine): Promise<void>;
  /** The power button: the guest's system decides. */
  button(machine: Machine): Promise<void>;
  /** Disks and drives have changed. */
  furnish(machine: Machine): Promise<void>;
  /** The machine goes away, and its disks with it. */
  discard(machine: Machine): Promise<void>;
  /** NAT networks or their forwards have changed. */
  connect(networks: readonly Network[]): Promise<void>;
}

/**
 * Machines of which only the power is kept, for tests. A file `stubborn` makes them so: with `button` in it the power
 * button has no effect, with `plug` neither button nor plug.
 */
export function paperGuests(folder: string): Guests {
  const power = ({ uuid }: Machine): string => path.join(folder, "power", uuid);
  const stubborn = (): string => readIf(path.join(folder, "stubborn"))?.trim() ?? "";
  const off = (machine: Machine) => fs.rmSync(power(machine), { force: true });
  return {
    isOn: (machine) => fs.existsSync(power(machine)),
    on: (machine) => Promise.resolve(writeAtomic(power(machine), "on\n")),
    off: (machine) => Promise.resolve(stubborn() === "plug" ? undefined : off(machine)),
    button: (machine) => Promise.resolve(stubborn() === "" ? off(machine) : undefined),
    furnish: () => Promise.resolve(),
    discard: (machine) => Promise.resolve(off(machine)),
    connect: () => Promise.resolve(),
  };
}
