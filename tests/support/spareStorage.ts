import { askForSpare } from "../chaos/strength";
import type { TestLab } from "./testLab";

/** Each of the four servers of MinIO knows all others: any one of them may go. */
export async function expectSpareStorage(lab: TestLab): Promise<void> {
  for (const { name } of lab.nodes) {
    const status = await lab.mustRoot(name, askForSpare(name));
    if (status !== "200") throw new Error(`${name}: MinIO can spare none of its members: status ${status}`);
  }
}
