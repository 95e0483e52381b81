/** A fault of lab/faults, done to several nodes at once and taken back. */
import { LabError } from "../../lab/exec";
import { faults, type Fault, type FaultName, type Place } from "../../lab/faults";
import { setLink } from "../../lab/faults/freezer";
import { killProgram } from "../../lab/faults/processes";
import { isOn, switchOff, switchOn, waitReady } from "../../lab/hosts";
import { locked, on, platformOf } from "../../lab/lab";
import { ensureForwards } from "../../lab/network";
import { baseRoot } from "../../lab/roots";

export interface Hurt {
  readonly fault: FaultName;
  readonly choice?: string;
}

/** @param restartsEtcd etcd keeps writing to the log it has open: a read-only disk hurts it only after a restart */
export async function begin(
  { fault, choice }: Hurt,
  places: readonly Place[],
  restartsEtcd = false,
): Promise<void> {
  const [first] = places;
  if (!first) throw new LabError(`there is no node for ${fault}`);
  const { instance } = first;
  if (fault === "power") {
    await Promise.all(places.map((place) => setLink(place, "down")));
    await locked(instance, () => Promise.all(places.map(({ host }) => switchOff(instance, host))));
    return;
  }
  await Promise.all(places.map((place) => (faults[fault] as Fault).begin(place, choice)));
  if (restartsEtcd) await Promise.all(places.map((place) => killProgram(place, "etcd")));
}

/** Takes the fault back if the lab can. */
export async function takeBack({ fault }: Pick<Hurt, "fault">, places: readonly Place[]): Promise<void> {
  if (fault === "power") return switchAllOn(places);
  const { end }: Fault = faults[fault];
  if (end) await Promise.all(places.map((place) => end(place)));
}

async function switchAllOn(places: readonly Place[]): Promise<void> {
  const [first] = places;
  if (!first) return;
  const { instance } = first;
  await locked(instance, async () => {
    const platform = platformOf(instance);
    const base = await baseRoot();
    await Promise.all(
      places
        .filter(({ host }) => !isOn(host))
        .map(async ({ host }) => {
          await switchOn(instance, host, { base, platform });
          await waitReady(host, platform);
        }),
    );
    await ensureForwards(instance, platform);
  });
}

/** Switches the empty machine on that replaces a lost host. The update creates a guest's machine. */
export async function replaceMachine(places: readonly Place[]): Promise<void> {
  for (const { instance, host } of places) {
    if (platformOf(instance) !== "virtualbox") await on(instance, host);
  }
}
