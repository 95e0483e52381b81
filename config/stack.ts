/** The whole configuration of a stack, parsed from plain values; no Pulumi here, so that tests and tools can use it. */
import type { z } from "zod";
import { crossChecks } from "./check";
import { etcd } from "./etcd";
import { hypervisor } from "./hypervisor";
import { network, platform, swarm } from "./machine";
import { defaultInterface, nodes, type NodesConfig } from "./nodes";
import { os } from "./os";
import { ownFileProblems } from "./ownFiles";
import { ConfigError, type Problem } from "./problem";
import { secretProblems, type Secret, withoutTexts } from "./secrets";
import { edge, images, type ImagesConfig, registry, storage } from "./services";
import { sketchOf } from "./sketch";
import { understood, type Understood } from "./understood";
import { wantedFor } from "./wanted";

export const subjects = {
  platform,
  hypervisor,
  nodes,
  os,
  network,
  swarm,
  etcd,
  storage,
  registry,
  edge,
  images,
} as const;

type Subjects = typeof subjects;
type Parsed = { readonly [Subject in keyof Subjects]: z.output<Subjects[Subject]> };
export type StackConfig = Omit<Parsed, "nodes"> & {
  readonly nodes: NodesConfig;
  /** Where it has secret values. */
  readonly secrets: readonly Secret[];
};

/** What is wrong with images, of those that are right by themselves. */
export type ImageCheck = (images: Partial<ImagesConfig>) => Problem[];

/**
 * @param secrets where raw has secret values
 * @param imageProblems looks at what images name, where that matters
 * @throws ConfigError with every mistake, when there is one; none shows a secret.
 */
export function parseStackConfig(
  raw: Readonly<Record<string, unknown>>,
  secrets: readonly Secret[] = [],
  imageProblems: ImageCheck = () => [],
): StackConfig {
  const misplaced = secretProblems(secrets);
  // What else is wrong with those subjects might show the secret.
  const isLeftOut = (subject: string) => misplaced.some(({ path }) => path.split(".")[0] === subject);
  const { parsed, problems } = bySubject(raw, isLeftOut);
  const known = understood(raw);
  if (!isLeftOut("images")) problems.push(...imageProblems(known.images));
  if (misplaced.length === 0) problems.push(...acrossSubjects(known, problems));
  if (misplaced.length + problems.length > 0) {
    throw new ConfigError([...misplaced, ...withoutTexts(problems, raw, secrets)]);
  }
  const config = completed(parsed as Parsed, secrets);
  const collisions = ownFileProblems(config);
  if (collisions.length > 0) throw new ConfigError(withoutTexts(collisions, raw, secrets));
  return config;
}

/** What each subject's own schema says of it. */
function bySubject(raw: Readonly<Record<string, unknown>>, isLeftOut: (subject: string) => boolean) {
  const problems: Problem[] = [];
  const parsed: Record<string, unknown> = {};
  for (const key of Object.keys(raw).filter((name) => !Object.hasOwn(subjects, name) && !isLeftOut(name))) {
    problems.push({
      path: key,
      found: "an unknown key",
      wanted: `one of ${Object.keys(subjects).join(", ")}`,
    });
  }
  for (const [subject, schema] of Object.entries(subjects).filter(([name]) => !isLeftOut(name))) {
    const given = Object.hasOwn(raw, subject) ? raw[subject] : undefined;
    const result = schema.safeParse(given, { error: wantedFor });
    if (result.success) {
      parsed[subject] = result.data;
    } else {
      const found = result.error.issues.flatMap((issue) => problemsOf(subject, given, issue));
      problems.push(...found.filter((one, at) => found.findIndex(({ path }) => path === one.path) === at));
    }
    const known = new Set(problems.map(({ path }) => path));
    problems.push(...prototypeKeys(subject, given).filter(({ path }) => !known.has(path)));
  }
  return { parsed, problems };
}

/** What shows only where subjects are looked at together, besides what is told of them already. */
function acrossSubjects(known: Understood, told: readonly Problem[]): Problem[] {
  const crossed = crossChecks(known).filter((one) => !isKnown(one, told));
  const all = [...told, ...crossed];
  // Where there is nothing else, the whole of it is looked at, and not what can be made sense of.
  const sketch = all.length > 0 ? sketchOf(known) : undefined;
  const collisions = sketch ? ownFileProblems(sketch, true) : [];
  return [...crossed, ...collisions.filter(({ path }) => !all.some((one) => one.path === path))];
}

/** The key that the prototype of an object is set by: maps pass over it without a word. */
function prototypeKeys(path: string, value: unknown): Problem[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => {
    const at = `${path}.${key}`;
    return key === "__proto__"
      ? [{ path: at, found: JSON.stringify(key), wanted: "another name" }]
      : prototypeKeys(at, inner);
  });
}

/** Defaults that depend on another subject. */
function completed(parsed: Parsed, secrets: readonly Secret[]): StackConfig {
  const entries = Object.entries(parsed.nodes).map(([name, node]) => [
    name,
    { ...node, interface: node.interface ?? defaultInterface(parsed.platform) },
  ]);
  return { ...parsed, nodes: Object.fromEntries(entries) as NodesConfig, secrets };
}

/** What a schema has refused already, as a whole or in part, is not also missing. */
function isKnown({ path, found }: Problem, problems: readonly Problem[]): boolean {
  const within = (inner: string, outer: string) => `${inner}.`.startsWith(`${outer}.`);
  return found === "nothing" && problems.some((one) => within(one.path, path) || within(path, one.path));
}

function problemsOf(subject: string, value: unknown, issue: z.core.$ZodIssue): Problem[] {
  const at = (path: readonly PropertyKey[]) => [subject, ...path.map(String)].join(".");
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({
      path: at([...issue.path, key]),
      found: "an unknown key",
      wanted: "no such key",
    }));
  }
  return [
    {
      path: at(issue.path),
      found: show(issue.code === "invalid_key" ? issue.path.at(-1) : valueAt(value, issue.path)),
      wanted: issue.message.replace(/^wanted: /, ""),
    },
  ];
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (inner, key) =>
      typeof inner === "object" && inner !== null ? (inner as Record<PropertyKey, unknown>)[key] : undefined,
    value,
  );
}

function show(value: unknown): string {
  return value === undefined ? "nothing" : (JSON.stringify(value) ?? String(value));
}
