import type { RegistryAccess } from "../../lab/journey/push";
import { ask, type TestLab } from "./testLab";
import { pause } from "./waiting";

/** A client tries again a few times. */
const TRIES = 5;

export interface Read<T> {
  readonly result: T;
  readonly asked: number;
  /** Requests that failed after all tries. */
  readonly failed: readonly string[];
}

/** Asks for the tags of `hello` over and over until `work` ends. */
export async function whileReading<T>(
  lab: TestLab,
  access: RegistryAccess,
  work: () => Promise<T>,
): Promise<Read<T>> {
  let done = false;
  let asked = 0;
  const failed: string[] = [];
  const reading = (async () => {
    while (!done) {
      asked += 1;
      const refusal = await read(lab, access, TRIES);
      if (refusal !== undefined) failed.push(refusal);
      await pause(200);
    }
  })();
  const result = await work().finally(() => (done = true));
  await reading;
  return { result, asked, failed };
}

async function read(lab: TestLab, access: RegistryAccess, tries: number): Promise<string | undefined> {
  const { username: user, password } = access;
  const refusal = await ask(lab, access, "/v2/demo/hello/tags/list", { user, password }).then(
    ({ status }) => (status === 200 ? undefined : `status ${status}`),
    String,
  );
  if (refusal === undefined || tries === 1) return refusal;
  await pause(1000);
  return read(lab, access, tries - 1);
}
