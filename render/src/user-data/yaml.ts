/** YAML of maps, lists, texts and booleans. Every text is quoted or a block, so that none is taken for another type. */

export type YamlValue = string | boolean | readonly string[] | YamlMap | readonly YamlMap[];
/** Keys are plain words; `undefined` is left out. */
export interface YamlMap {
  readonly [key: string]: YamlValue | undefined;
}

export function renderYaml(map: YamlMap): string {
  return mapLines(map).join("\n") + "\n";
}

function mapLines(map: YamlMap): string[] {
  return Object.entries(map).flatMap(([key, value]) => (value === undefined ? [] : entryLines(key, value)));
}

function entryLines(key: string, value: YamlValue): string[] {
  if (typeof value === "boolean") {
    return [`${key}: ${value}`];
  }
  if (typeof value === "string") {
    return isBlock(value)
      ? [`${key}: |`, ...indented(value.slice(0, -1).split("\n"))]
      : [`${key}: ${quoted(value)}`];
  }
  if (Array.isArray(value)) {
    return value.length === 0 ? [`${key}: []`] : [`${key}:`, ...indented(value.flatMap(itemLines))];
  }
  return [`${key}:`, ...indented(mapLines(value as YamlMap))];
}

function itemLines(item: string | YamlMap): string[] {
  if (typeof item === "string") {
    return [`- ${quoted(item)}`];
  }
  return mapLines(item).map((line, at) => (line === "" ? line : `${at === 0 ? "- " : "  "}${line}`));
}

function indented(lines: readonly string[]): string[] {
  return lines.map((line) => (line === "" ? line : `  ${line}`));
}

/** Whether a block shows a text as it is: whole lines of printable characters, the first of which is not indented. */
function isBlock(text: string): boolean {
  return /^[^\s][^]*[^\n]\n$/.test(text) && !special.test(text.replaceAll("\n", "").replaceAll("\t", ""));
}

/** Characters that stand in no YAML text as they are. */
const special = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/;

function quoted(text: string): string {
  return JSON.stringify(text).replace(
    new RegExp(special, "g"),
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
