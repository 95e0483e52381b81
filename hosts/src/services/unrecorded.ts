/** What an update made in the Swarm and was cut off before it could record it. */
import type { Connection } from "../contract";
import { isMissing } from "../docker/api";
import { HostError } from "../errors";
import { note } from "../log";
import { workingManager } from "../swarm/managers";

/** Things of a Swarm that have a name of our choosing. */
export type NamedKind = "services" | "networks";

interface Named {
  readonly ID?: string;
  readonly Id?: string;
  readonly Name?: string;
  readonly Labels?: Record<string, string> | null;
  readonly Spec?: { readonly Name: string; readonly Labels?: Record<string, string> | null };
}

/**
 * Removes the service or network called `name`, which is about to be made, where an earlier update of this stack
 * left one behind without recording it.
 * @param label `key=value` that everything of the stack carries.
 * @throws HostError where something of that name exists that is not of this stack.
 */
export async function removeUnrecorded(
  managers: readonly Connection[],
  kind: NamedKind,
  name: string,
  label: string,
): Promise<void> {
  const { api } = await workingManager(managers, `looking for ${kind} called ${name}`);
  const found = await api.get<Named[] | null>(`/${kind}`, { query: { filters: { name: [name] } } });
  const [key = "", value] = label.split("=");
  for (const one of (found ?? []).filter((each) => (each.Spec?.Name ?? each.Name) === name)) {
    const labels = one.Spec?.Labels ?? one.Labels ?? {};
    if (labels[key] !== value) {
      const what = kind === "services" ? "service" : "network";
      throw new HostError(
        "swarm",
        `a ${what} called ${name} is there and not of this stack: docker ${what} rm ${name}`,
      );
    }
    try {
      await api.delete(`/${kind}/${one.ID ?? one.Id ?? ""}`);
      note("swarm", `removed ${name}, which an update that was cut off had left unrecorded`);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }
}
