/** Each user's password before its last change, as a hash, and until when it is still right. */
import type { Operation, PreviousHashesInputs, PreviousHashesOutputs } from "./contract";
import { diffOf } from "./diff";
import { note } from "./log";
import { withoutProvider } from "./operation";

/** States from when all users' former passwords had one end. */
interface WithOneEnd extends Omit<PreviousHashesOutputs, "until"> {
  readonly until: number;
}
type Recorded = PreviousHashesOutputs | WithOneEnd;

const now = (): number => Math.floor(Date.now() / 1000);

const hasOneEnd = (state: Recorded): state is WithOneEnd => typeof state.until === "number";

function endsOf(state: Recorded): Readonly<Record<string, number>> {
  if (!hasOneEnd(state)) return state.until;
  const { until } = state;
  return Object.fromEntries(Object.keys(state.previous).map((user) => [user, until]));
}

/**
 * What a change replaces takes the place of what an earlier one of the same user did; what others had stays, each with
 * its own end. Also past that: fronts to which an update that was cut off did not come have nothing else yet, and the
 * others take it for as long as that is so.
 */
function after(state: Recorded, inputs: PreviousHashesInputs): PreviousHashesOutputs {
  const plain = withoutProvider(inputs);
  const ends = endsOf(state);
  const isUser = (user: string): boolean => inputs.hashes[user] !== undefined;
  const changed = Object.entries(state.hashes).filter(
    ([user, hash]) => isUser(user) && inputs.hashes[user] !== hash,
  );
  const names = changed.map(([user]) => user);
  // Whoever is no user any more has no password either.
  const kept = Object.entries(state.previous).filter(([user]) => isUser(user) && !names.includes(user));
  const keptEnds = kept.map(([user]) => [user, ends[user] ?? 0] as const);
  const stays = inputs.minutes > 0 ? changed : [];
  const end = now() + inputs.minutes * 60;
  if (names.length > 0) say(names, stays.length > 0 ? end : undefined);
  return {
    ...plain,
    previous: Object.fromEntries([...kept, ...stays]),
    until: Object.fromEntries([...keptEnds, ...stays.map(([user]) => [user, end] as const)]),
  };
}

function say(users: readonly string[], end: number | undefined): void {
  const what =
    end === undefined
      ? "is refused at once"
      : `is right until ${new Date(end * 1000).toISOString()}, and for as long as a front has no other`;
  note("registry", `the password of ${users.join(", ")} is another one; the one before ${what}`);
}

/** Nothing is done anywhere: it is the state that remembers. */
export const previousHashes: Operation<PreviousHashesInputs, PreviousHashesOutputs> = {
  create(inputs) {
    return Promise.resolve({
      id: "previous-hashes",
      outs: { ...withoutProvider(inputs), previous: {}, until: {} },
    });
  },
  read(id, state) {
    return Promise.resolve({ id, outs: state });
  },
  diff(state, inputs) {
    const diff = diffOf(state, inputs, { outputOnly: ["previous", "until"] });
    return hasOneEnd(state) ? { ...diff, changes: true } : diff;
  },
  update(_id, state, inputs) {
    return Promise.resolve(after(state, inputs));
  },
  delete() {
    return Promise.resolve();
  },
};
