/** The registry's passwords before the last change, as hashes, and until when they are still right. */
import type { Operation, PreviousHashesInputs, PreviousHashesOutputs } from "./contract";
import { diffOf } from "./diff";
import { note } from "./log";
import { withoutProvider } from "./operation";

const now = (): number => Math.floor(Date.now() / 1000);

/** A change puts what it changes in the place of what an earlier one did, but for other users' that still counts. */
function after(state: PreviousHashesOutputs, inputs: PreviousHashesInputs): PreviousHashesOutputs {
  const plain = withoutProvider(inputs);
  const of = (user: string): string | undefined => inputs.hashes[user];
  const changed = Object.entries(state.hashes).filter(
    ([user, hash]) => of(user) !== undefined && of(user) !== hash,
  );
  // Whoever is no user any more has no password either.
  const kept = Object.entries(state.previous).filter(([user]) => of(user) !== undefined);
  if (changed.length === 0) return { ...plain, previous: Object.fromEntries(kept), until: state.until };
  const names = changed.map(([user]) => user).join(", ");
  if (inputs.minutes === 0) {
    note("registry", `the password of ${names} is another one; the one before is refused at once`);
    const others = kept.filter(([user]) => !changed.some(([name]) => name === user));
    return { ...plain, previous: Object.fromEntries(others), until: state.until };
  }
  const until = now() + inputs.minutes * 60;
  const valid = state.until > now() ? kept : [];
  note(
    "registry",
    `the password of ${names} is another one; the one before is right until ${new Date(until * 1000).toISOString()}`,
  );
  return { ...plain, previous: Object.fromEntries([...valid, ...changed]), until };
}

/** Nothing is done anywhere: it is the state that remembers. */
export const previousHashes: Operation<PreviousHashesInputs, PreviousHashesOutputs> = {
  create(inputs) {
    return Promise.resolve({
      id: "previous-hashes",
      outs: { ...withoutProvider(inputs), previous: {}, until: 0 },
    });
  },
  read(id, state) {
    return Promise.resolve({ id, outs: state });
  },
  diff(state, inputs) {
    return diffOf(state, inputs, { outputOnly: ["previous", "until"] });
  },
  update(_id, state, inputs) {
    return Promise.resolve(after(state, inputs));
  },
  delete() {
    return Promise.resolve();
  },
};
