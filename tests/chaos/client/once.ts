/** Runs on a client: requests at the same time, whose answers are told whole, in their order. */
import { request, tell, told, type Login } from "./request";

export interface Once {
  readonly login: Login;
  readonly path: string;
  readonly method: string;
  readonly timeoutMs: number;
}

async function main(): Promise<void> {
  const asked = await told<readonly Once[]>();
  const heard = asked.map(({ login, path, method, timeoutMs }) => request(login, path, timeoutMs, method));
  for (const answer of await Promise.all(heard)) tell(answer);
}

void main();
