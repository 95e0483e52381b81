/** A step's fault, done to all its nodes at once, and taken back. */
import { faults, type Fault, type Place } from "../../lab/faults";
import { setLink } from "../../lab/faults/freezer";
import { isOn, switchOff, switchOn, waitReady } from "../../lab/hosts";
import { locked, on, platformOf } from "../../lab/lab";
import { ensureForwards } from "../../lab/network";
import { baseRoot } from "../../lab/roots";
import { killProgram } from "../../lab/faults/processes";
import { LabError } from "../../lab/exec";
import type { Role, Step } from "./plan";

/** @param hurt the roles that are to be hurt by it */
export async function begin(
  { fault, choice }: Step,
  places: readonly Place[],
  hurt: readonly Role[] = [],
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
  // Through the log that it has open it would go on writing.
  if (killsEtcd(fault, hurt)) await Promise.all(places.map((place) => killProgram(place, "etcd")));
}

/** Whether a fault hurts etcd only once that has to open its files anew. */
export const killsEtcd = (fault: Step["fault"], hurt: readonly Role[]): boolean =>
  fault === "read-only-disk" && hurt.includes("etcd");

/** Takes the fault back where the lab can; says whether it did. */
export async function takeBack({ fault }: Step, places: readonly Place[]): Promise<void> {
  if (fault === "power") return powerAll(places);
  const { end }: Fault = faults[fault];
  if (end) await Promise.all(places.map((place) => end(place)));
}

/** All of them get their power at once. */
async function powerAll(places: readonly Place[]): Promise<void> {
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

/** Gives a lost host's power back to the empty machine in its place. A guest's machine is made by the update. */
export async function replaceMachine(places: readonly Place[]): Promise<void> {
  for (const { instance, host } of places) {
    if (platformOf(instance) !== "virtualbox") await on(instance, host);
  }
}
