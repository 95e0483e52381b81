import * as fs from "node:fs";
import type { ImageArchive } from "@moorage/hosts";
import { imageIdOfArchive } from "../providers/imageArchive";
import type { ImageConfig, ImagesConfig } from "../config/services";
import { ConfigError, type Problem } from "../config/problem";

type ImageName = keyof ImagesConfig;

/** What services name as their image, and what has to be loaded on the nodes for it. */
export interface ResolvedImages {
  /** An image id for archives, `name@digest` otherwise: neither makes Docker look anything up by tag. */
  readonly references: Record<Exclude<ImageName, "etcd">, string> & { readonly etcd?: string };
  /** Images that come from archives, by name; every node has all of them, so that any may take over. */
  readonly archives: Readonly<Record<string, ImageArchive>>;
}

/** Reads the image ids out of the archives. @throws ConfigError that names each one which is missing or is none. */
export function resolveImages(images: ImagesConfig): ResolvedImages {
  const archives: Record<string, ImageArchive> = {};
  const problems: Problem[] = [];
  const references = Object.fromEntries(
    Object.entries(images).map(([name, image]: [string, ImageConfig]) => {
      if ("archive" in image) {
        const imageId = idOf(name, image, problems);
        archives[name] = { archive: image.archive, imageId };
        return [name, imageId];
      }
      return [name, `${image.name}@${image.digest}`];
    }),
  ) as ResolvedImages["references"];
  if (problems.length > 0) throw new ConfigError(problems);
  return { references, archives };
}

/** Where the archive is not at hand, as on a machine that only previews, the configured id has to do. */
function idOf(name: string, image: { archive: string; imageId?: string }, problems: Problem[]): string {
  if (image.imageId && !fs.existsSync(image.archive)) {
    return image.imageId;
  }
  let found = "";
  try {
    found = imageIdOfArchive(image.archive);
  } catch (error) {
    const wanted = `an archive made by \`docker save\`: ${(error as Error).message}`;
    problems.push({ path: `images.${name}.archive`, found: image.archive, wanted });
    return found;
  }
  if (image.imageId && image.imageId !== found) {
    const wanted = `${found}, which ${image.archive} holds, or that archive built again`;
    problems.push({ path: `images.${name}.imageId`, found: image.imageId, wanted });
  }
  return found;
}
