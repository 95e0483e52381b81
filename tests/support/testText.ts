/** The text of one test, with what it is made of, out of its file's: a test may then be asked what it runs. */

export const spoken = (text: string): string => text.replace(/\s+/g, " ");

/** Tests that do not choose their lab are in a function that is told of one. */
const isGroup = (statement: string): boolean =>
  /^\s*(describe\b|function \w+\(lab: \(\) => TestLab\))/.test(statement);
const isTest = (statement: string): boolean => isGroup(statement) || /^\s*(test|it)\b/.test(statement);
const isHook = (statement: string): boolean => /^\s*before(All|Each)\(/.test(statement);

/** Statements as Prettier writes them: each begins in the same column, and what closes it does so with a bracket. */
function statementsAt(source: string, column: number): string[] {
  const lines = source.split("\n");
  const begins = new RegExp(`^ {${column}}[A-Za-z/]`);
  const starts = lines.flatMap((line, at) => (begins.test(line) ? [at] : []));
  return starts.map((start, index) => lines.slice(start, starts[index + 1]).join("\n"));
}

/** The test of that name, last, and before it all that is no test around it. Nothing where there is no such test. */
function around(source: string, name: string, column = 0): string[] {
  const all = statementsAt(source, column);
  const others = all.filter((one) => !isTest(one));
  for (const own of all.filter((one) => isTest(one) && spoken(one).includes(name))) {
    const inner = isGroup(own) ? around(own, name, column + 2) : [own];
    if (inner.length > 0) return [...others, ...inner];
  }
  return [];
}

const nameIn = (statement: string): string | undefined =>
  /^\s*(?:export )?(?:async )?(?:const|let|function|class) (\w+)/.exec(statement)?.[1];

/**
 * The test of that name with the hooks before it, and with what of its file these use by name.
 * @param name part of it, with single spaces
 */
export function testIn(source: string, name: string): string {
  const parts = around(source, name);
  const used = new Set(parts.filter((part, at) => at === parts.length - 1 || isHook(part)));
  for (let before = -1; before !== used.size;) {
    before = used.size;
    const words = new Set([...used].flatMap((part) => part.match(/\w+/g) ?? []));
    for (const part of parts) if (words.has(nameIn(part) ?? "")) used.add(part);
  }
  return parts.filter((part) => used.has(part)).join("\n");
}
