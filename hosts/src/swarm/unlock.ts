/** Managers of a Swarm with autolock, which restart locked. */
import type { Connection, SwarmMemberInputs } from "../contract";
import { dockerApi } from "../docker/api";
import { DockerError, HostError, reasonOf } from "../errors";
import { note } from "../log";
import { dockerInfo, workingManager } from "./managers";
import type { DockerInfo } from "./types";

/**
 * Docker answers once the manager knows a leader. Where all were locked that takes an election, and each that nobody wins another 10
 * to 13 s: three were seen to take 34 s.
 */
const UNLOCK_SECONDS = 120;

export const isLocked = ({ Swarm }: DockerInfo): boolean => Swarm.LocalNodeState === "locked";

/** The key that unlocks a manager of this one's Swarm after a restart. */
export async function unlockKey(manager: Connection): Promise<string> {
  const { UnlockKey } = await dockerApi(manager).get<{ UnlockKey: string }>("/swarm/unlockkey", {
    purpose: "reading the unlock key",
  });
  return UnlockKey;
}

/**
 * Unlocks every manager in reach that is locked, since one alone has no quorum. The key comes from a manager that
 * serves; from the record where all are locked.
 * @throws HostError that says how to unlock them where the key is not at hand.
 */
export async function unlockManagers(
  { node, managers }: Pick<SwarmMemberInputs, "node" | "managers">,
  recordedKey = "",
): Promise<void> {
  const states = await Promise.allSettled(managers.map((manager) => dockerInfo(manager)));
  const locked = managers.filter((_, index) => {
    const state = states[index];
    return state?.status === "fulfilled" && isLocked(state.value);
  });
  const key = await currentKey(node, managers).catch((error: unknown) => {
    if (recordedKey !== "") return recordedKey;
    throw error instanceof HostError ? stillLocked(node, error) : error;
  });
  await Promise.all(locked.map((manager) => unlock(manager, key)));
}

function stillLocked(node: string, error: HostError): HostError {
  return new HostError(
    node,
    `is locked (swarm.autolock), and no manager serves that could give the key: ${reasonOf(error, error.node)}\n` +
      "To do: `pulumi up --refresh --target '**:SwarmMember::*'`, which unlocks all managers with the key that is in the " +
      "state; then `pulumi up` again. Or `docker swarm unlock` there, by somebody who has the key",
  );
}

async function currentKey(node: string, managers: readonly Connection[]): Promise<string> {
  return unlockKey((await workingManager(managers, `unlocking ${node}`)).connection);
}

async function unlock(manager: Connection, key: string): Promise<void> {
  try {
    await dockerApi(manager).post("/swarm/unlock", {
      json: { UnlockKey: key },
      timeoutSeconds: UNLOCK_SECONDS,
      purpose: "unlocking the Swarm",
    });
    note(manager.node, "unlocked as manager of the Swarm");
  } catch (error) {
    // Another member's update was quicker.
    if (!(error instanceof DockerError && /swarm is not locked/i.test(error.reason))) throw error;
  }
}
