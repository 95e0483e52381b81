/** A node's network: changed over SSH, with a way back that the node takes by itself. */
import type { NodeNetworkInputs, NodeNetworkOutputs, Operation } from "../contract";
import { diffOf } from "../diff";
import { note } from "../log";
import { readOrRecorded, withoutProvider } from "../operation";
import { asFound } from "../node-files/parse";
import { plannedFor } from "../node-files/plan";
import { placedFiles } from "../node-files/scripts";
import { brief } from "../ssh/connect";
import { endAbsence } from "../swarm/out-of-service";
import { leftToChange, look, settleEarlier } from "./look";
import { tryInTurn } from "./try";

/** The shape that a part of a node's files has. */
const asPart = ({ connection, files }: NodeNetworkInputs) => ({
  connection,
  part: "network",
  files,
  units: {},
});

async function ensure(inputs: NodeNetworkInputs, before?: NodeNetworkOutputs): Promise<NodeNetworkOutputs> {
  const wanted = placedFiles(asPart(inputs));
  const recorded = before ? placedFiles(asPart(before)).map(({ path }) => path) : [];
  const gone = recorded.filter((path) => !wanted.some((file) => file.path === path));
  const looked = await settleEarlier(inputs.connection, [...wanted.map(({ path }) => path), ...gone]);
  const change = leftToChange({ wanted, gone }, looked);
  if (change.wanted.length + change.gone.length > 0) await tryInTurn(inputs, change);
  // Confirmed by a run that was cut off before the node was back.
  else if (inputs.cluster) await endAbsence(inputs.connection, inputs.cluster);
  return withoutProvider(inputs);
}

/**
 * Places what differs and makes the node take it over; keeps it once SSH was reached anew where `connection` says.
 * Otherwise the node goes back to its former network by itself, also after a loss of power, and the update fails. Its
 * first network is there from the installation. `delete` leaves the network as it is.
 */
export const nodeNetwork: Operation<NodeNetworkInputs, NodeNetworkOutputs> = {
  async create(inputs) {
    return { id: `${inputs.connection.node}/network`, outs: await ensure(inputs) };
  },
  read(id, state) {
    return readOrRecorded(state.connection.node, id, state, async () => {
      const { change, found } = await look(state.connection, Object.keys(state.files), brief);
      // What is only tried is not what the node has.
      return {
        id,
        outs: change === "none" ? { ...state, files: asFound(asPart(state), found).files } : state,
      };
    });
  },
  diff(state, inputs) {
    const planned = plannedFor({ ...asPart(state) }, { ...asPart(inputs) });
    if (planned !== undefined) {
      const back = `goes back by itself unless SSH returns within ${inputs.tryoutSeconds} s`;
      note(
        state.connection.node,
        `this update changes its network, the node drained meanwhile: ${planned}; ${back}`,
      );
    }
    return diffOf(state, inputs, { connections: ["connection"], ignored: ["cluster", "tryoutSeconds"] });
  },
  update(_id, state, inputs) {
    return ensure(inputs, state);
  },
  delete() {
    return Promise.resolve();
  },
};
