/** VirtualBox's versions, and what they do differently. */
import { HostError } from "../errors";

export interface Version {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
  readonly text: string;
}

/**
 * Reads `VBoxManage --version`: `7.1.4r165100`, or `6.1.50_Ubuntur161033` in a distribution's package. Warnings about
 * the kernel module may stand before it.
 */
export function parseVersion(text: string): Version | undefined {
  const lines = text.split("\n").map((line) => line.trim());
  for (const line of lines.reverse()) {
    const found = /^(\d+)\.(\d+)\.(\d+)(?:[_-]?[A-Za-z0-9~.]*)?r\d+$/.exec(line);
    if (found)
      return { major: Number(found[1]), minor: Number(found[2]), patch: Number(found[3]), text: line };
  }
  return undefined;
}

export function isAtLeast(version: Version, major: number, minor: number, patch = 0): boolean {
  const [a, b, c] = [version.major - major, version.minor - minor, version.patch - patch];
  return (a || b || c) >= 0;
}

/** @throws where guests of ours would not work. */
export function requireUsable(node: string, version: Version): void {
  if (!isAtLeast(version, 6, 1)) {
    throw new HostError(
      node,
      `VirtualBox ${version.text} is too old: 6.1, 7.0, 7.1 or 7.2 (from 7.2.4 on) is needed. Update it there`,
    );
  }
  // Its issues 136, 232 and 271: a NAT network with several forwards, or with DHCP, passes nothing.
  if (isAtLeast(version, 7, 2) && !isAtLeast(version, 7, 2, 4)) {
    throw new HostError(
      node,
      `VirtualBox ${version.text} has NAT networks that do not work with several port forwards (fixed in 7.2.4). ` +
        "Update it there, or use 7.1",
    );
  }
}

/** Arguments of `modifyvm` that turn sound off or on; the option has another name since 7.0. */
export function audioArguments(version: Version, on: boolean): string[] {
  if (isAtLeast(version, 7, 0)) return ["--audio-enabled", on ? "on" : "off"];
  return ["--audio", on ? "null" : "none"];
}

/** Lists NAT networks with their forwards; `list natnetworks` leaves them out since 7.0. */
export function natNetworkListing(version: Version): string[] {
  return isAtLeast(version, 7, 0) ? ["natnetwork", "list"] : ["list", "natnetworks"];
}
