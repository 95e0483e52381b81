import { accepts } from "../../../../lab/network";

/** nginx and HAProxy take a port of loopback that another one has, and each of the two gets a part of the requests. */
export async function expectFree(port: number): Promise<void> {
  if (await accepts(port)) throw new Error(`127.0.0.1:${port} is another one's`);
}
