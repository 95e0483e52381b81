/** Runs beside `make chaos`: tells who has the VIP, as often as it looks. */
import type { Instance } from "../../lab/instance";
import { tell, told } from "./client/request";
import { lookOn } from "./vip";

async function main(): Promise<void> {
  const instance = await told<Pick<Instance, "hosts" | "vip">>();
  const parent = process.ppid;
  await lookOn(instance, (seen) => {
    // Whoever reads this is gone.
    if (process.ppid !== parent) process.exit(0);
    tell(seen);
  });
}

void main();
