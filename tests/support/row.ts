import { expect } from "vitest";
import type { TestLab } from "./testLab";

/** An update's output says that each of these nodes was drained, changed and back in service before the next one was drained. */
export async function expectOneAfterTheOther(
  lab: TestLab,
  nodes: readonly string[],
  output: string,
): Promise<void> {
  const told = output.split("Diagnostics:")[1] ?? "";
  const steps = [...told.matchAll(/(coreos\d): (drained|back in service)/g)].map(
    ([, node, what]) => `${node} ${what}`,
  );
  const order = steps.filter((step) => step.endsWith("drained")).map((step) => step.split(" ")[0]);
  expect([...order].sort(), output).toEqual([...nodes].sort());
  expect(steps).toEqual(order.flatMap((node) => [`${node} drained`, `${node} back in service`]));

  const names = lab.nodes.map(({ name }) => name);
  const list = "docker node ls --format '{{.Hostname}} {{.Availability}} {{.Status}}'";
  const said = await lab.mustRoot(names[0] ?? "", list);
  expect(said.trim().split("\n").sort()).toEqual(names.map((name) => `${name} Active Ready`));
}
