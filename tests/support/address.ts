/** Which node has the address of all fronts. */
import { expect } from "vitest";
import { holdersOf } from "../chaos/vip";
import { eventually, type TestLab } from "./testLab";

/** Makes a node the one that has the address; whoever has it keeps it, until its front or its node goes. */
export async function giveAddressTo(lab: TestLab, node: string): Promise<void> {
  const hasIt = async (): Promise<void> => expect(await holdersOf(lab.instance)).toEqual([node]);
  if (
    await hasIt().then(
      () => true,
      () => false,
    )
  )
    return;
  const others = lab.nodes.filter(({ name }) => name !== node);
  const keepalived = (verb: "stop" | "start"): Promise<unknown> =>
    Promise.all(others.map(({ name }) => lab.mustRoot(name, `systemctl ${verb} moorage-keepalived.service`)));
  try {
    await keepalived("stop");
    await eventually(30, hasIt);
  } finally {
    await keepalived("start");
  }
  await hasIt();
}
