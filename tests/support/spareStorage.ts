import { minioContainer } from "../chaos/strength";
import type { TestLab } from "./testLab";

/** Each of the four servers of MinIO knows all others: any one of them may go. */
export async function expectSpareStorage(lab: TestLab): Promise<void> {
  const path = "http://127.0.0.1:9000/minio/health/cluster?maintenance=true";
  for (const { name } of lab.nodes) {
    const curl = `docker exec ${minioContainer(name)} curl -s -m 3 -o /dev/null -w '%{http_code}' '${path}'`;
    const status = await lab.mustRoot(name, curl);
    if (status !== "200") throw new Error(`${name}: MinIO can spare none of its members: status ${status}`);
  }
}
