import { askForSpare } from "./cluster";
import type { TestLab } from "./testLab";

/** Each member of MinIO sees all others, so that any one of them may stop. */
export async function expectSpareStorage(lab: TestLab): Promise<void> {
  for (const { name } of lab.nodes) {
    const status = await lab.mustRoot(name, askForSpare(name));
    if (status !== "200") throw new Error(`${name}: MinIO can spare none of its members: status ${status}`);
  }
}
