/** What user data says of a node, whatever it is written in and whatever the distribution is. */
import type { ContainerLinuxModel, Distribution, UpdateStrategy } from "../model";

export interface DescribedUser {
  readonly name: string;
  readonly passwordHash?: string;
  /** Groups that the distribution's own tools can put the user into; for others there are files. */
  readonly groups: readonly string[];
  readonly sshAuthorizedKeys: readonly string[];
}

export interface DescribedFile {
  readonly path: string;
  readonly mode: number;
  /** `user:group`, `root:root` by default. */
  readonly owner?: string;
  readonly content: string;
}

export interface DescribedUnit {
  readonly name: string;
  readonly content?: string;
  readonly dropIns: readonly { readonly name: string; readonly content: string }[];
  /** Enabled at boot, and running once the user data was applied. */
  readonly enabled?: boolean;
  /** Started once the user data was applied, although nothing enables it: what a unit of its own is for. */
  readonly started?: boolean;
  /**
   * The unit comes with a system extension, after presets were applied: where a first boot enables by presets, it
   * is linked into multi-user.target besides.
   */
  readonly linkedFrom?: string;
}

export interface NodeDescription {
  readonly hostname: string;
  readonly distribution: Distribution;
  readonly users: readonly DescribedUser[];
  readonly files: readonly DescribedFile[];
  readonly units: readonly DescribedUnit[];
  readonly timeZone?: string;
  readonly updateStrategy: UpdateStrategy;
  /** Container Linux's own sections of a cloud-config. */
  readonly containerLinux?: ContainerLinuxModel;
}

/** Units of one name as one: texts of the later one, drop-ins of both. */
export function mergeUnits(units: readonly DescribedUnit[]): DescribedUnit[] {
  const merged = new Map<string, DescribedUnit>();
  for (const unit of units) {
    const earlier = merged.get(unit.name);
    merged.set(
      unit.name,
      earlier ? { ...earlier, ...unit, dropIns: [...earlier.dropIns, ...unit.dropIns] } : unit,
    );
  }
  return [...merged.values()];
}
