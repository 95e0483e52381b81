/** How long no push is accepted, where a change cannot be made without a pause. */
import { probe } from "./clients";
import type { Probe } from "./client/probe";
import type { Stage } from "./stage";

const PROBE_MS = 500;
/** What the registry says to the beginning of an upload. */
const ACCEPTED = 202;

/** Seconds from the first push that was not accepted until one was, after all of those; none is 0. */
export function pauseOf(probes: readonly Probe[]): number {
  const sorted = [...probes].sort((one, other) => one.at - other.at);
  const refused = sorted.filter(({ status }) => status !== ACCEPTED);
  const [first, last] = [refused[0], refused.at(-1)];
  if (!first || !last) return 0;
  const back = sorted.find(({ at, status }) => at > last.at && status === ACCEPTED);
  return back ? (back.at + back.firstByteMs - first.at) / 1000 : Infinity;
}

/** Begins uploads, which come to nothing, until the function that comes back is called. */
export function watchPause(stage: Stage): () => Promise<number> {
  const client = stage.clients.at(-1);
  const seen: Probe[] = [];
  const paths = ["/v2/chaos/pause/blobs/uploads/"];
  const probing = { login: stage.login, paths, everyMs: PROBE_MS, method: "POST" };
  const stop = client ? probe(client, probing, (one) => seen.push(one)) : () => Promise.resolve();
  return async () => {
    await stop();
    // Without a single answer nothing was measured.
    return seen.length > 0 ? pauseOf(seen) : Infinity;
  };
}
