/** Whether the members of MinIO may be changed one after the other, or have to be changed together. */
import type { Operation, StorageOrderInputs, StorageOrderOutputs } from "../contract";
import { diffOf, UNKNOWN } from "../diff";
import { execInContainer } from "../docker/exec";
import { HostError, reasonOf } from "../errors";
import { note } from "../log";
import { withoutProvider } from "../operation";
import { isDueToMend, isMended } from "../services/found";
import { exec } from "../ssh/exec";
import { storageContainer } from "./mc";

/** What is run in MinIO's image. A build that is no release calls itself the same whatever it was made of. */
const asked = ["-c", 'minio --version; exec sha256sum "$(command -v minio)"'];

/** The release, or the program's checksum where it is none; absent where neither is said. */
export function programIn(output: string): string | undefined {
  return /version (RELEASE\.\S+)/.exec(output)?.[1] ?? /^([0-9a-f]{64}) /m.exec(output)?.[1];
}

/**
 * Asks the programs themselves, as the name of an image says nothing: those of the members that run, of which some may be
 * others after a change that failed, and the one of the wanted image.
 */
async function programs({ nodes, services, image }: StorageOrderInputs): Promise<(string | undefined)[]> {
  const purpose = "asking MinIO's version";
  const members = await membersOf({ nodes, services });
  const [one] = members;
  if (one === undefined) throw new HostError("storage", "no storage node serves");
  const before = members.map(({ connection, container }) =>
    execInContainer(connection, { container, argv: ["sh", ...asked], purpose }),
  );
  const argv = ["docker", "run", "--rm", "--network", "none", "--entrypoint", "sh", image, ...asked];
  const after = exec(one.connection, argv, { sudo: true, purpose, timeoutSeconds: 300 });
  const said = await Promise.all([...before, after]);
  return said.map(({ stdout }) => programIn(stdout));
}

/** Why all of them have to be changed at the same time; nothing where they need not be. */
async function together(state: StorageOrderOutputs, inputs: StorageOrderInputs): Promise<string | undefined> {
  if (state.common !== inputs.common) return "members with other settings do not serve together";
  const isSame = state.image === inputs.image;
  // An update to another version may have been cut off before what is mended now was changed.
  if (isSame && !isMended(inputs, Object.values(inputs.services))) return undefined;
  const found = await programs(inputs).catch((error: unknown) => {
    if (!(error instanceof HostError)) throw error;
    note("storage", `cannot tell the version of MinIO's image: ${reasonOf(error, error.node)}`);
    return isSame ? [] : [undefined];
  });
  const different = [...new Set(found)];
  if (different.length <= 1 && !different.includes(undefined)) return undefined;
  const names = different.map((program = "unknown") => program.slice(0, 40));
  return `versions of MinIO do not serve together (${names.join(", ")})`;
}

/** The members that run. */
async function membersOf({ nodes, services }: Pick<StorageOrderInputs, "nodes" | "services">) {
  const found = await Promise.all(
    nodes.map((connection) =>
      storageContainer(connection, services[connection.node] ?? "").catch(() => undefined),
    ),
  );
  return found.filter((one) => one !== undefined);
}

export const storageOrder: Operation<StorageOrderInputs, StorageOrderOutputs> = {
  async create(inputs) {
    return {
      id: "storage-order",
      outs: { ...withoutProvider(inputs), oneByOne: (await membersOf(inputs)).length > 0 },
    };
  },
  read(id, state) {
    return Promise.resolve({ id, outs: state });
  },
  diff(state, inputs) {
    const ignored = ["nodes", "services", "mended", "run"];
    const diff = diffOf(state, inputs, { outputOnly: ["oneByOne"], ignored });
    const changes = diff.changes || isDueToMend(state, inputs, Object.values(inputs.services));
    if (changes && (inputs.image as unknown) !== UNKNOWN) {
      const all = "all members of MinIO restart together, and the registry has no store for some seconds";
      const one = "the members of MinIO are changed one by one, each when MinIO can spare it";
      note(
        "storage",
        state.common !== inputs.common
          ? `this update: ${all}`
          : state.image !== inputs.image
            ? `this update: ${one}; if the image is another version of it, ${all}`
            : `this update: ${one}`,
      );
    }
    return { ...diff, changes };
  },
  async update(_id, state, inputs) {
    const reason = await together(state, inputs);
    if (reason !== undefined) note("storage", `MinIO is changed on all nodes at once: ${reason}`);
    return { ...withoutProvider(inputs), oneByOne: reason === undefined };
  },
  delete() {
    return Promise.resolve();
  },
};
