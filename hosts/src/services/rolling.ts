/** Services of which each stands in for the others: made together, and changed one after the other. */
import type { Operation, RollingOrderInputs, RollingOrderOutputs } from "../contract";
import { diffOf, UNKNOWN } from "../diff";
import { note } from "../log";
import { withoutProvider } from "../operation";
import { isDueToMend } from "./found";

/** Nothing is done anywhere: it is the state that tells a change from what is made for the first time. */
export const rollingOrder: Operation<RollingOrderInputs, RollingOrderOutputs> = {
  create(inputs) {
    return Promise.resolve({ id: "rolling-order", outs: { ...withoutProvider(inputs), oneByOne: false } });
  },
  read(id, state) {
    return Promise.resolve({ id, outs: state });
  },
  diff(state, inputs) {
    const ignored = ["what", "services", "mended", "run"];
    const diff = diffOf(state, inputs, { outputOnly: ["oneByOne"], ignored });
    const changes = diff.changes || isDueToMend(state, inputs, inputs.services);
    if (changes && inputs.shape !== UNKNOWN) {
      note(inputs.what, "this update changes them one by one, each when the one before it serves");
    }
    return { ...diff, changes };
  },
  update(_id, _state, inputs) {
    return Promise.resolve({ ...withoutProvider(inputs), oneByOne: true });
  },
  delete() {
    return Promise.resolve();
  },
};
