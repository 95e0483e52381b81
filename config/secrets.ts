/**
 * Secret values of a stack's configuration. Pulumi tells a program which subjects hold one, and not where: the stack's
 * file does. A few keys may be secret, and stay so wherever they go; any other secret is refused before it can show.
 */
import { parse } from "yaml";
import type { Problem } from "./problem";
import type { StackConfig } from "./stack";

/** The subject, then key by key; items of lists by their number. */
export type Path = readonly string[];

/** Where a secret stands; `unknown` where that cannot be told, and the path is the subject's. */
export interface Secret {
  readonly path: Path;
  readonly unknown?: boolean;
}

/** What may be secret; `*` is any name. */
const allowed: readonly Path[] = [
  ["os", "files", "*", "content"],
  ["os", "units", "*", "content"],
  ["os", "units", "*", "dropIns", "*"],
  ["os", "proxies", "http"],
  ["os", "proxies", "https"],
];

const namespace = "moorage";

export const written = (path: Path): string => path.join(".");

/**
 * The secrets among raw values by subject.
 * @param subjects that hold a secret
 * @param stackFile text of the stack's file; `undefined` where there is none
 */
export function secretsIn(
  raw: Readonly<Record<string, unknown>>,
  subjects: readonly string[],
  stackFile: string | undefined,
): Secret[] {
  const file = plain(plain(stackFile === undefined ? undefined : parsed(stackFile)).config);
  return subjects.flatMap((subject): Secret[] => {
    const found = encrypted(file[`${namespace}:${subject}`], raw[subject], [subject]);
    return found === undefined || found.length === 0
      ? [{ path: [subject], unknown: true }]
      : found.map((path) => ({ path }));
  });
}

/** Where the file has ciphertext; `undefined` where it is another's file, as the rest of it is not what was given. */
function encrypted(file: unknown, given: unknown, path: Path): Path[] | undefined {
  if (isCiphertext(file)) return [path];
  if (typeof file !== "object" || file === null) {
    return typeof given === "object" && given !== null ? undefined : [];
  }
  const [there, here] = [Object.keys(file).sort(), Object.keys(plain(given)).sort()];
  if (there.join("\n") !== here.join("\n")) return undefined;
  const found: Path[] = [];
  for (const key of there) {
    const inner = encrypted(plain(file)[key], plain(given)[key], [...path, key]);
    if (inner === undefined) return undefined;
    found.push(...inner);
  }
  return found;
}

function isCiphertext(value: unknown): boolean {
  const keys = Object.keys(plain(value));
  return keys.length === 1 && keys[0] === "secure" && typeof plain(value).secure === "string";
}

function parsed(text: string): unknown {
  try {
    return parse(text);
  } catch {
    return undefined;
  }
}

/** Lists too, by number. */
function plain(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function mayBe(path: Path): boolean {
  return allowed.some(
    (one) => one.length === path.length && one.every((key, at) => key === "*" || key === path[at]),
  );
}

/** Every secret that is in a place where it would show. */
export function secretProblems(secrets: readonly Secret[]): Problem[] {
  const places = allowed.map((path) => written(path).replaceAll("*", "NAME")).join(", ");
  return secrets
    .filter(({ path, unknown }) => unknown || !mayBe(path))
    .map(({ path, unknown }) => ({
      path: written(path),
      found: unknown ? "a secret whose place the stack's file does not show" : "a secret",
      wanted: unknown
        ? `the stack's file beside Pulumi.yaml, or named in PULUMI_OPTION_CONFIG_FILE, with single values as secrets: ${places}`
        : `a value in clear; secret may be ${places}`,
    }));
}

/** Mistakes without the secrets that they show. */
export function withoutTexts(
  problems: readonly Problem[],
  raw: Readonly<Record<string, unknown>>,
  secrets: readonly Secret[],
): Problem[] {
  const texts = secrets.map(({ path }) =>
    String(path.reduce<unknown>((value, key) => plain(value)[key], raw)),
  );
  const hidden = (text: string) =>
    texts
      .filter((secret) => secret.length >= 4)
      .flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1)])
      .reduce((shown, secret) => shown.replaceAll(secret, "[secret]"), text);
  const within = (inner: string, outer: string) => `${inner}.`.startsWith(`${outer}.`);
  return problems.map(({ path, found, wanted }) => {
    const holds = secrets.some((one) => within(path, written(one.path)) || within(written(one.path), path));
    const isValue = found !== "nothing" && found !== "an unknown key";
    return { path, found: holds && isValue ? "a secret" : hidden(found), wanted: hidden(wanted) };
  });
}

/** A configuration that has other texts where the secrets are. */
export function withSecretsAs(config: StackConfig, text: (path: string) => string): StackConfig {
  const shown = structuredClone(config);
  for (const { path } of config.secrets) {
    const holder = path.slice(0, -1).reduce<unknown>((value, key) => plain(value)[key], shown);
    plain(holder)[path.at(-1) ?? ""] = text(written(path));
  }
  return shown;
}
