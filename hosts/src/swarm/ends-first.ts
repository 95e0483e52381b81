/** What is ended on a node before it is drained. */
import { dockerApi } from "../docker/api";
import { HostError, reasonOf } from "../errors";
import { warn } from "../log";
import { onManager } from "./managers";
import type { Member } from "./out-of-service";
import type { SwarmService } from "./types";

/** Of services whose requests take what other tasks on their node do. */
const LABEL = "moorage.ends-first";
const SERVICE_LABEL = "com.docker.swarm.service.id";
/** A registry gives what it has begun 30 s. */
const STOP_SECONDS = 35;

interface Container {
  readonly Id: string;
  readonly Labels?: Readonly<Record<string, string>>;
}

/**
 * Ends what serves by other tasks of its node, and waits until it has answered what it had begun: those of a drained node are
 * ended all at once. Swarm makes a new task after two seconds, by when the node is drained. What cannot be ended so is a
 * warning, and ends with the others.
 */
export async function endFirst({
  connection,
  managers,
}: Pick<Member, "connection" | "managers">): Promise<void> {
  const purpose = "ending what is drained first";
  try {
    const query = { filters: { label: [LABEL] } };
    const services = await onManager(managers, purpose, ({ api }) =>
      api.get<SwarmService[]>("/services", { query, purpose }),
    );
    const api = dockerApi(connection);
    const running = await api.get<Container[]>("/containers/json", { purpose });
    const first = running.filter(({ Labels }) => services.some(({ ID }) => ID === Labels?.[SERVICE_LABEL]));
    await Promise.all(
      first.map(({ Id }) =>
        api.post(`/containers/${Id}/stop`, {
          query: { t: STOP_SECONDS },
          timeoutSeconds: STOP_SECONDS + 15,
          purpose,
        }),
      ),
    );
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    const why = reasonOf(error, connection.node);
    warn(connection.node, `requests to its registry may be cut off as it is drained: ${why}`);
  }
}
