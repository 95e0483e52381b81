import { isDeepStrictEqual } from "node:util";
import type { Properties, Property } from "../../lab/plugins/properties";

/** Every path of properties, such as `taskSpec.containerSpec.image`, lists and maps by their own name. */
export function pathsOf(
  properties: Properties,
  wanted: (property: Property) => boolean = () => true,
  at = "",
): string[] {
  return Object.entries(properties).flatMap(([key, property]) => {
    if (typeof property.kind === "object") return pathsOf(property.kind, wanted, `${at}${key}.`);
    return wanted(property) ? [at + key] : [];
  });
}

/** What each property holds, by its path as {@link pathsOf} gives it. */
export function valuesIn(properties: Properties, inputs: unknown): Record<string, unknown[]> {
  const known = pathsOf(properties);
  const isMap = (path: string): boolean => known.includes(path);
  const values: Record<string, unknown[]> = {};
  const walk = (value: unknown, path: string): void => {
    if (Array.isArray(value)) value.forEach((one) => walk(one, path));
    else if (typeof value !== "object" || value === null || isMap(path)) (values[path] ??= []).push(value);
    else Object.entries(value).forEach(([key, one]) => walk(one, path === "" ? key : `${path}.${key}`));
  };
  walk(inputs, "");
  return values;
}

/** The paths of properties that hold something else. */
export function differing(properties: Properties, inputs: unknown, others: unknown): string[] {
  const [before, after] = [valuesIn(properties, inputs), valuesIn(properties, others)];
  return Object.keys({ ...before, ...after }).filter((key) => !isDeepStrictEqual(before[key], after[key]));
}
