/** Runs on a client: one request, whose answer is told whole. */
import { request, tell, told, type Login } from "./request";

export interface Once {
  readonly login: Login;
  readonly path: string;
  readonly method: string;
  readonly timeoutMs: number;
}

async function main(): Promise<void> {
  const { login, path, method, timeoutMs } = await told<Once>();
  tell(await request(login, path, timeoutMs, method));
}

void main();
