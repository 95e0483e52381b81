/** The small types that configuration is made of, each with the sentence a wrong value is answered with. */
import * as ipaddr from "ipaddr.js";
import { z } from "zod";

export function isIpv4(text: string): boolean {
  return ipaddr.IPv4.isValidFourPartDecimal(text);
}

export function isCidr(text: string): boolean {
  const [address = "", bits = ""] = text.split("/");
  return isIpv4(address) && /^(0|[1-9][0-9]?)$/.test(bits) && ipaddr.IPv4.isValidCIDR(text);
}

/** Whether an IPv4 address lies in a subnet; both must be well-formed. */
export function contains(cidr: string, address: string): boolean {
  return ipaddr.IPv4.parse(address).match(ipaddr.IPv4.parseCIDR(cidr));
}

export function overlaps(one: string, other: string): boolean {
  const [first, second] = [ipaddr.IPv4.parseCIDR(one), ipaddr.IPv4.parseCIDR(other)];
  const bits = Math.min(first[1], second[1]);
  return first[0].match(second[0], bits);
}

export function prefixLength(cidr: string): number {
  return ipaddr.IPv4.parseCIDR(cidr)[1];
}

/** The subnet that an address with a prefix length is in. */
export function networkOf(cidr: string): string {
  return `${ipaddr.IPv4.networkAddressFromCIDR(cidr).toString()}/${prefixLength(cidr)}`;
}

/** The first address of a subnet after its own, which gateways have by custom. */
export function firstAddress(cidr: string): string {
  const bytes = ipaddr.IPv4.networkAddressFromCIDR(cidr).toByteArray();
  bytes[3] = (bytes[3] ?? 0) + 1;
  return new ipaddr.IPv4(bytes).toString();
}

/** An address that no host in the subnet can have. Of a subnet of two addresses or one, each is a host's. */
export function isEdgeOf(cidr: string, address: string): boolean {
  if (prefixLength(cidr) > 30) return false;
  const { IPv4 } = ipaddr;
  const edges = [IPv4.networkAddressFromCIDR(cidr), IPv4.broadcastAddressFromCIDR(cidr)];
  return edges.some((edge) => edge.toString() === address);
}

/** An address that is no single host's, or this one's own. */
export function isSpecial(address: string): boolean {
  return ["unspecified", "loopback", "multicast", "broadcast", "reserved"].includes(
    ipaddr.IPv4.parse(address).range(),
  );
}

/** A text of some form, asked for in the same words where there is none. */
export function text(check: RegExp | ((value: string) => boolean), wanted: string) {
  const plain = z.string(`wanted: ${wanted}`);
  return check instanceof RegExp
    ? plain.regex(check, `wanted: ${wanted}`)
    : plain.refine(check, `wanted: ${wanted}`);
}

/** A whole number from `min` to `max`, asked for in the same words where it is another. */
export function whole(min: number, max: number, what = "a whole number") {
  const wanted = `wanted: ${what} from ${min} to ${max}`;
  return z.int(wanted).min(min, wanted).max(max, wanted);
}

export const ipv4 = text(isIpv4, "an IPv4 address such as 10.0.2.11");
export const cidr = text(isCidr, "an IPv4 subnet such as 10.0.2.0/24");
export const address = text(
  (value) => isCidr(value) && ipaddr.IPv4.parseCIDR(value)[1] > 0,
  "an IPv4 address with its prefix length, such as 10.30.0.11/24",
);
export const port = whole(1, 65535, "a TCP port");
/** Docker's names for secrets end at 64 characters: `minio-NODE-root-password` and the eight that Pulumi adds leave 36. */
export const hostName = text(
  (value) => /^[a-z0-9]([a-z0-9-]{0,34}[a-z0-9])?$/.test(value) && value !== "localhost" && !isMember(value),
  "a host name of lower-case letters, digits and hyphens, at most 36 characters, other than localhost",
);

/** What every object has by this name already, such as `constructor`. */
export function isMember(name: string): boolean {
  return name in {};
}

/** A last label of digits alone would be read as part of an IPv4 address. */
export function isDnsName(value: string): boolean {
  const labels = value.split(".");
  return (
    value.length <= 253 &&
    labels.every((label) => /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(label)) &&
    !/^[0-9]+$/.test(labels.at(-1) ?? "")
  );
}

export const dnsName = text(isDnsName, "a DNS name such as registry.example.com");
/** A name that means the same on every host. */
export const sharedName = text(
  (value) => isDnsName(value) && !/(^|\.)localhost$/.test(value),
  "a DNS name such as registry.example.com",
);
export const dnsNameOrIpv4 = text(
  (value) => isDnsName(value) || isIpv4(value),
  "a DNS name or an IPv4 address",
);
/** Where SSH goes: a name, in either case, or an address of either family. */
export const sshHost = text(
  (value) => ipaddr.isValid(value) || isDnsName(value.toLowerCase().replaceAll("_", "-")),
  "a name or address such as node1.example.com or 10.0.2.11",
);
export const userName = text(
  /^[A-Za-z_][A-Za-z0-9._@-]{0,63}$/,
  "a user's name of letters, digits and ._@-, such as core",
);

/** Half of a pair of UTF-16 has no encoding in a file. */
export const anyText = text((value) => !/\p{Surrogate}/u.test(value), "a text of whole characters");
export const line = text(/^[^\p{Control}\p{Surrogate}]*$/u, "a text of one line, without control characters");
export const absolutePath = text(/^\/[^\p{Control}\p{Surrogate}]*$/u, "an absolute path");
export const devicePath = text(
  (value) => /^\/dev(\/[A-Za-z0-9._:@+-]+)+$/.test(value) && !/\/\.{1,2}(\/|$)/.test(value),
  "a device such as /dev/disk/by-id/… (a name that survives a reboot)",
);
export const digest = text(/^sha256:[0-9a-f]{64}$/, "sha256: and 64 hexadecimal digits");
export const httpUrl = text(
  /^https?:\/\/[A-Za-z0-9._~:/?#[\]@!$&()*+,;=%-]+$/,
  "a URL that starts with http:// or https://",
);
/** The same with names in braces, which are filled in. */
export const httpUrlTemplate = text(
  /^https?:\/\/[A-Za-z0-9._~:/?#[\]@!$&()*+,;=%{}-]+$/,
  "a URL that starts with http:// or https://",
);
/** Services are placed by labels `moorage.*`. */
export const label = text(
  (value) => /^[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?$/.test(value) && !value.startsWith("moorage."),
  "a label such as region, but none that begins with moorage., as those are the program's own",
);

/** Linux allows fifteen characters. */
export const deviceName = text(
  /^[a-zA-Z][a-zA-Z0-9._-]{0,14}$/,
  "a device's name of at most fifteen letters and digits, such as v3000",
);
export const interfaceName = text(
  /^([a-zA-Z][a-zA-Z0-9._-]{0,14}|[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5})$/,
  "a network interface's name such as eth0, or its MAC address such as 08:00:27:aa:bb:01",
);

/** One word without blanks, quotes or what else could end it where it is written. */
export function plainWord(wanted: string) {
  return text(/^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$/, wanted);
}

/** What the design has a place for and the program cannot do yet. */
export function notYet(what: string) {
  return z.never({ error: `${what} is not supported yet; leave it out` }).optional();
}
