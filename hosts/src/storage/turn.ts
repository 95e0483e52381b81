/** When a member of MinIO may be changed. */
import type { StorageTurnInputs } from "../contract";
import { turn } from "../services/turn";
import { storageSpares } from "./spare";

/** Waits until MinIO can do without the member, where it is about to be changed on its own. */
export const storageTurn = turn<StorageTurnInputs>(
  "node",
  ({ node, store }) => store.services[node],
  ["store", "oneByOne"],
  async (inputs) => {
    if (inputs.oneByOne) await storageSpares(inputs.node, inputs.store);
  },
);
