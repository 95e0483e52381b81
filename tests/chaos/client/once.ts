/** Runs on a client: requests at the same time, whose answers are told whole, in their order. */
import { request, tell, told, type Login } from "./request";

export interface Once {
  readonly login: Login;
  readonly path: string;
  readonly method: string;
  readonly timeoutMs: number;
  readonly body?: string;
}

async function main(): Promise<void> {
  const asked = await told<readonly Once[]>();
  const heard = asked.map(({ login, path, method, timeoutMs, body }) =>
    request(login, path, timeoutMs, method, false, body),
  );
  for (const answer of await Promise.all(heard)) tell(answer);
}

void main();
