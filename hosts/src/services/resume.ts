/** An update of a service that Swarm began and does not go on with. */
import type { Connection } from "../contract";
import type { DockerApi } from "../docker/api";
import { note } from "../log";
import { onManager } from "../swarm/managers";
import { retrying } from "../swarm/nodes";
import type { SwarmService } from "../swarm/types";

const RESUMED = "moorage.resumed";

/**
 * Has Swarm begin the service's update anew. It waits for ever for a task whose node was lost while the task
 * started (`updateTask` in swarmkit's manager/orchestrator/update/updater.go has no limit), and only a changed spec
 * makes it start over: a label is set, which touches no task. Another change while the update runs would have Swarm take
 * the next node at once, beside the one that it has just begun with, so the label stays until `endResumption`.
 */
export function resumeUpdate(managers: readonly Connection[], service: string): Promise<void> {
  note(service, "Swarm's update has stalled; it is started over");
  return relabel(managers, service, { [RESUMED]: new Date().toISOString() });
}

/** Takes away what `resumeUpdate` left, once the update is over; there is nothing that Swarm begins then. */
export function endResumption(managers: readonly Connection[], service: string): Promise<void> {
  return relabel(managers, service, {});
}

function relabel(
  managers: readonly Connection[],
  service: string,
  label: Record<string, string>,
): Promise<void> {
  const purpose = `resuming the update of service ${service}`;
  return retrying(30, () =>
    onManager(managers, purpose, ({ api }) => setLabel(api, service, label, purpose)),
  );
}

async function setLabel(
  api: DockerApi,
  name: string,
  label: Record<string, string>,
  purpose: string,
): Promise<void> {
  const { ID, Version, Spec } = await api.get<SwarmService>(`/services/${encodeURIComponent(name)}`, {
    purpose,
  });
  const others = Object.entries(Spec.Labels ?? {}).filter(([key]) => key !== RESUMED);
  await api.post(`/services/${ID}/update`, {
    query: { version: String(Version.Index) },
    json: { ...Spec, Labels: { ...Object.fromEntries(others), ...label } },
    purpose,
  });
}
