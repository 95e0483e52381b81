/** Reading what VBoxManage prints. Pure. */
import type { PortForward } from "./contract";

export type VmInfo = ReadonlyMap<string, string>;

/**
 * Reads `showvminfo --machinereadable`: lines `key="text"`, `"SATA-0-0"="text"` and `key=2048`. A text may go over
 * several lines; backslashes and quotes in it are escaped, in paths of Windows hosts before 7.0 they are not.
 */
export function parseVmInfo(output: string): VmInfo {
  const info = new Map<string, string>();
  const lines = output.split(/\r?\n/);
  for (let at = 0; at < lines.length; at += 1) {
    const found = /^(?:"([^"]*)"|([^"=]+))=(.*)$/.exec(lines[at] ?? "");
    if (!found) continue;
    let value = found[3] ?? "";
    if (value.startsWith('"')) {
      while (!closed(value) && at + 1 < lines.length) value += `\n${lines[(at += 1)] ?? ""}`;
      value = value.slice(1, closed(value) ? -1 : undefined).replace(/\\(["\\])/g, "$1");
    }
    info.set(found[1] ?? found[2] ?? "", value);
  }
  return info;
}

/** Whether a text that began with a quote ends with one that is not escaped. */
function closed(value: string): boolean {
  return value.length > 1 && /(^|[^\\])(\\\\)*"$/.test(value.slice(1));
}

/** A NAT network as VirtualBox has it. */
export interface ListedNetwork {
  readonly name: string;
  readonly subnet: string;
  readonly enabled: boolean;
  readonly dhcp: boolean;
  readonly forwards: Record<string, PortForward>;
}

/** Reads `natnetwork list` of 7.0 and newer, and `list natnetworks` of 6.1, which has other names for its lines. */
export function parseNatNetworks(output: string): ListedNetwork[] {
  const networks: ListedNetwork[] = [];
  for (const block of output.split(/\r?\n(?=(?:Name|NetworkName):)/)) {
    const value = (...keys: string[]) =>
      keys
        .map((key) => new RegExp(`^${key}: +(.*?) *$`, "m").exec(block)?.[1])
        .find((one) => one !== undefined);
    const name = value("NetworkName", "Name");
    if (name === undefined) continue;
    networks.push({
      name,
      subnet: value("Network") ?? "",
      enabled: value("Enabled") !== "No",
      dhcp: value("DHCP Server", "DHCP Enabled") === "Yes",
      forwards: parseForwards(block),
    });
  }
  return networks;
}

/** Rules `name:tcp:[host address]:port:[guest address]:port`, indented under their heading. */
function parseForwards(block: string): Record<string, PortForward> {
  const rules = /^Port-forwarding \(ipv4\)\r?\n((?:[ \t]+.*\r?\n?)*)/m.exec(block)?.[1] ?? "";
  const forwards: Record<string, PortForward> = {};
  for (const line of rules.split(/\r?\n/)) {
    const rule = /^\s+(.*):(tcp|udp):\[([^\]]*)\]:(\d+):\[([^\]]*)\]:(\d+)\s*$/.exec(line);
    if (rule) {
      forwards[rule[1] ?? ""] = {
        listen: rule[3] === "" ? "0.0.0.0" : (rule[3] ?? ""),
        port: Number(rule[4]),
        address: rule[5] ?? "",
        targetPort: Number(rule[6]),
      };
    }
  }
  return forwards;
}

/** One line `Key: value` of a listing such as `list systemproperties` or `showmediuminfo`. */
export function parseLine(output: string, key: string): string | undefined {
  return new RegExp(`^${key}: *(.*?) *$`, "m").exec(output.replaceAll("\r", ""))?.[1];
}

/** `list ostypes`: what each type is in words, by its id. */
export function parseOsTypes(output: string): ReadonlyMap<string, string> {
  const types = output.matchAll(/^ID: *(\S+) *\r?\nDescription: *(.*?) *\r?$/gm);
  return new Map([...types].map(([, id = "", text = ""]) => [id, text]));
}

/** A medium's size in MB, of `showmediuminfo`: `Capacity:       8192 MBytes`. */
export function parseCapacity(output: string): number | undefined {
  const found = /^(\d+) MBytes$/.exec(parseLine(output, "Capacity") ?? "")?.[1];
  return found === undefined ? undefined : Number(found);
}

/** `getextradata`: `Value: …`, or `No value set!`. */
export function parseExtraData(output: string): string | undefined {
  return /^Value: (.*?)\r?$/m.exec(output)?.[1];
}
