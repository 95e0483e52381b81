/** The small types that configuration is made of, each with the sentence a wrong value is answered with. */
import * as ipaddr from "ipaddr.js";
import { z } from "zod";

export function isIpv4(text: string): boolean {
  return ipaddr.IPv4.isValidFourPartDecimal(text);
}

export function isCidr(text: string): boolean {
  return isIpv4(text.split("/")[0] ?? "") && ipaddr.IPv4.isValidCIDR(text);
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

/** A text of some form, asked for in the same words where there is none. */
function text(check: RegExp | ((value: string) => boolean), wanted: string) {
  const plain = z.string(`wanted: ${wanted}`);
  return check instanceof RegExp
    ? plain.regex(check, `wanted: ${wanted}`)
    : plain.refine(check, `wanted: ${wanted}`);
}

export const ipv4 = text(isIpv4, "an IPv4 address such as 10.0.2.11");
export const cidr = text(isCidr, "an IPv4 subnet such as 10.0.2.0/24");
export const address = text(
  (value) => isCidr(value) && ipaddr.IPv4.parseCIDR(value)[1] > 0,
  "an IPv4 address with its prefix length, such as 10.30.0.11/24",
);
export const port = z.int("wanted: a TCP port from 1 to 65535").min(1).max(65535);
export const hostName = text(
  /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
  "a host name of lower-case letters, digits and hyphens, at most 63 characters",
);
export const dnsName = text(
  /^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]*[a-z0-9])?$/,
  "a DNS name such as registry.example.com",
);
export const absolutePath = text(/^\/[^\0]*$/, "an absolute path");
export const devicePath = text(
  /^\/dev\/\S+$/,
  "a device such as /dev/disk/by-id/… (a name that survives a reboot)",
);
export const digest = text(/^sha256:[0-9a-f]{64}$/, "sha256: and 64 hexadecimal digits");
export const publicKey = text(
  /^(ssh|ecdsa|sk)-[a-z0-9@.-]+ [A-Za-z0-9+/=]+/,
  "a public key such as ssh-ed25519 AAAA…",
);
export const httpUrl = text(/^https?:\/\/\S+$/, "a URL that starts with http:// or https://");
export const label = text(/^[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?$/, "a label such as region");

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
