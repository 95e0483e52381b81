/** Small helpers that all renderers share. */
import { createHash } from "node:crypto";

/** Lines joined to a text that ends in one newline; `undefined` and `false` are left out. */
export function lines(...parts: readonly (string | undefined | false)[]): string {
  return parts.filter((part): part is string => typeof part === "string").join("\n") + "\n";
}

export function indent(text: string, spaces: number): string {
  return text.replace(/^(?=.)/gm, " ".repeat(spaces));
}

/** All of them, from the one at `first` on, and then those before it. */
export function startingAt<T>(items: readonly T[], first: number): T[] {
  return [...items.slice(first), ...items.slice(0, first)];
}

export function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** JSON with sorted keys and without `undefined`, so that equal values have equal text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, held: unknown) =>
    isPlainObject(held) ? Object.fromEntries(Object.entries(held).sort(byKey)) : held,
  );
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function byKey([a]: [string, unknown], [b]: [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * A name, address or path that goes into a configuration file as it is. The configuration has checked it before;
 * this refuses whatever could end the word and begin a directive.
 */
export function word(value: string, what: string): string {
  if (!/^[A-Za-z0-9._:/@+,=[\]-]+$/.test(value)) {
    throw new Error(`${what}: ${JSON.stringify(value)} has characters that no name, address or path has`);
  }
  return value;
}

/** An IPv6 address in brackets, other hosts (with or without a port) as they are. */
export function urlHost(host: string): string {
  return /:.*:/.test(host) && !host.startsWith("[") ? `[${host}]` : host;
}
