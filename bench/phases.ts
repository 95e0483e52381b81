/** Where the time of a first update goes, by the time stamps in the state. */
import { markdownTable } from "./table";

interface Resource {
  readonly urn: string;
  readonly type: string;
  readonly created?: string;
  readonly dependencies?: readonly string[];
  readonly parent?: string;
}

interface Span {
  readonly type: string;
  readonly count: number;
  /** Seconds after the first resource was created: the first and the last of this type. */
  readonly first: number;
  readonly last: number;
  /** The longest from when all dependencies of one were there until it was. */
  readonly longest: number;
}

/** @param state of `pulumi stack export`; a resource's time is when its creation ended */
export function phasesOf(state: string): Span[] {
  const { deployment } = JSON.parse(state) as { deployment: { resources: readonly Resource[] } };
  const created = new Map(
    deployment.resources.flatMap(({ urn, created }) =>
      created ? [[urn, Date.parse(created) / 1000] as const] : [],
    ),
  );
  const start = Math.min(...created.values());
  const spans = new Map<string, Span>();
  for (const { urn, type, dependencies = [], parent } of deployment.resources) {
    const at = created.get(urn);
    if (at === undefined || type.startsWith("pulumi:")) continue;
    const before = Math.max(
      start,
      ...[...dependencies, parent ?? ""].map((one) => created.get(one) ?? start),
    );
    const known = spans.get(type) ?? { type, count: 0, first: Infinity, last: 0, longest: 0 };
    spans.set(type, {
      type,
      count: known.count + 1,
      first: Math.min(known.first, at - start),
      last: Math.max(known.last, at - start),
      longest: Math.max(known.longest, at - before),
    });
  }
  return [...spans.values()].sort((one, other) => one.last - other.last);
}

export const phasesTable = (state: string): string =>
  markdownTable(
    ["type", "resources", "first done", "last done", "longest"],
    phasesOf(state).map(({ type, count, first, last, longest }) => [
      type,
      String(count),
      ...[first, last, longest].map((seconds) => `${seconds.toFixed(1)} s`),
    ]),
  );
