/** Images loaded on a node from archives, for nodes that ask no registry. */
import { createReadStream, statSync } from "node:fs";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import type {
  Connection,
  ImageArchive,
  LoadedImagesInputs,
  LoadedImagesOutputs,
  Operation,
} from "./contract";
import { diffOf } from "./diff";
import { dockerApi, isMissing, SILENT_ADVICE } from "./docker/api";
import { DockerError, HostError, fullDiskAdvice, messageOf } from "./errors";
import { note } from "./log";
import { readOrRecorded, recording, unlessUnreachable, withoutProvider } from "./operation";
import { brief } from "./ssh/connect";
import { Stall, type Every } from "./stall";
import { sleep } from "./time";

/** Whether a node has an image. */
export async function present(
  connection: Connection,
  imageId: string,
  patience?: typeof brief,
): Promise<boolean> {
  try {
    await dockerApi(connection).get(`/images/${imageId}/json`, {
      purpose: `looking for image ${imageId}`,
      patience,
    });
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** @param every for tests: how the transfer is watched. @default each few seconds */
export async function load(
  connection: Connection,
  { archive, imageId }: ImageArchive,
  every?: Every,
): Promise<void> {
  const { node } = connection;
  const started = Date.now();
  const size = sizeOf(node, archive);
  const file = createReadStream(archive, { highWaterMark: 256 * 1024 });
  const purpose = `loading ${archive}`;
  const stall = new Stall(node, purpose, file, SILENT_ADVICE, every);
  try {
    const sent = dockerApi(connection).open("POST", "/images/load", {
      // So it says how far it is, too, by which it is told from one that hangs.
      query: { quiet: "0" },
      headers: { "Content-Type": "application/x-tar" },
      body: file,
      timeoutSeconds: 3600,
      purpose,
      signal: stall.signal,
    });
    const answer = await stall.within(sent);
    try {
      answer.message.on("data", () => stall.heard());
      const loaded = await stall.within(loadedNames(node, archive, answer.message));
      if (!(await present(connection, imageId))) throw otherImage(node, archive, imageId, loaded);
    } finally {
      answer.close();
    }
  } finally {
    stall.end();
    file.destroy();
  }
  note(
    node,
    `loaded ${archive} (${Math.round(size / 1e6)} MB) in ${Math.round((Date.now() - started) / 1000)} s`,
  );
}

function sizeOf(node: string, archive: string): number {
  try {
    return statSync(archive).size;
  } catch (error) {
    throw new HostError(node, `the image archive ${archive} cannot be read: ${messageOf(error)}`);
  }
}

/** Docker answers 200 and reports what went wrong as one of a stream of JSON values. */
async function loadedNames(node: string, archive: string, message: IncomingMessage): Promise<string> {
  let text = "";
  message.setEncoding("utf8");
  message.on("data", (chunk: string) => (text += chunk));
  await once(message, "end");
  const names: string[] = [];
  for (const line of text.split("\n").filter((each) => each.trim() !== "")) {
    const event = JSON.parse(line) as { stream?: string; error?: string };
    if (event.error !== undefined) {
      const advice = fullDiskAdvice(event.error);
      throw new HostError(node, `loading ${archive}: ${event.error}${advice ? `\n${advice}` : ""}`);
    }
    if (event.stream !== undefined) names.push(event.stream.trim());
  }
  return names.join(", ");
}

function otherImage(node: string, archive: string, imageId: string, loaded: string): HostError {
  return new HostError(
    node,
    `${archive} was loaded, but there is no image ${imageId} now; Docker says: ${loaded || "nothing"}. ` +
      "Either the archive was replaced since its id was read, or Docker there keeps images in containerd's store, " +
      'which gives them other ids: set "features": {"containerd-snapshotter": false} in its daemon.json',
  );
}

async function ensure(inputs: LoadedImagesInputs): Promise<LoadedImagesOutputs> {
  for (const image of Object.values(inputs.images)) {
    if (!(await present(inputs.connection, image.imageId))) await load(inputs.connection, image);
  }
  return withoutProvider(inputs);
}

/** Images in use stay; their containers may be on their way out, so it is tried a few times. */
async function remove(connection: Connection, imageIds: readonly string[]): Promise<void> {
  for (const imageId of imageIds) {
    for (let attempt = 1; attempt <= 4; attempt += 1) {
      try {
        await dockerApi(connection).delete(`/images/${imageId}`, {
          purpose: `removing image ${imageId}`,
          patience: brief,
        });
        break;
      } catch (error) {
        if (isMissing(error)) break;
        if (!(error instanceof DockerError && error.status === 409)) throw error;
        if (attempt < 4) await sleep(2000);
      }
    }
  }
}

/** Loads what is missing, by image id. Fails with node, archive and the id expected when an archive holds another image. */
export const loadedImages: Operation<LoadedImagesInputs, LoadedImagesOutputs> = {
  async create(inputs) {
    const id = `${inputs.connection.node}/images`;
    return { id, outs: await recording(id, inputs, () => ensure(inputs)) };
  },
  read(id, state) {
    return readOrRecorded(state.connection.node, id, state, async () => {
      const found: Record<string, ImageArchive> = {};
      for (const [name, image] of Object.entries(state.images)) {
        if (await present(state.connection, image.imageId, brief)) found[name] = image;
      }
      return { id, outs: { ...state, images: found } };
    });
  },
  diff(state, inputs) {
    return diffOf(state, inputs, { connections: ["connection"] });
  },
  async update(_id, state, inputs) {
    const outs = await ensure(inputs);
    const kept = new Set(Object.values(inputs.images).map((image) => image.imageId));
    const gone = Object.values(state.images).map((image) => image.imageId);
    await remove(
      inputs.connection,
      gone.filter((imageId) => !kept.has(imageId)),
    );
    return outs;
  },
  async delete(_id, state) {
    const imageIds = Object.values(state.images).map((image) => image.imageId);
    await unlessUnreachable(state.connection.node, "its loaded images stay there", () =>
      remove(state.connection, imageIds),
    );
  },
};
