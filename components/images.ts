import * as fs from "node:fs";
import type { ImageArchive } from "@moorage/hosts";
import { imageIdOfArchive } from "../providers/imageArchive";
import type { ImageConfig, ImagesConfig } from "../config/services";

type ImageName = keyof ImagesConfig;

/** What services name as their image, and what has to be loaded on the nodes for it. */
export interface ResolvedImages {
  /** An image id for archives, `name@digest` otherwise: neither makes Docker look anything up by tag. */
  readonly references: Record<ImageName, string>;
  /** Images that come from archives, by name; every node has all of them, so that any may take over. */
  readonly archives: Readonly<Record<string, ImageArchive>>;
}

/** Reads the image ids out of the archives. @throws Error that names an archive which is missing or is none. */
export function resolveImages(images: ImagesConfig): ResolvedImages {
  const archives: Record<string, ImageArchive> = {};
  const references = Object.fromEntries(
    Object.entries(images).map(([name, image]: [string, ImageConfig]) => {
      if ("archive" in image) {
        const imageId = idOf(name, image);
        archives[name] = { archive: image.archive, imageId };
        return [name, imageId];
      }
      return [name, `${image.name}@${image.digest}`];
    }),
  ) as Record<ImageName, string>;
  return { references, archives };
}

/** Where the archive is not at hand, as on a machine that only previews, the configured id has to do. */
function idOf(name: string, image: { archive: string; imageId?: string }): string {
  if (image.imageId && !fs.existsSync(image.archive)) {
    return image.imageId;
  }
  const found = imageIdOfArchive(image.archive);
  if (image.imageId && image.imageId !== found) {
    throw new Error(
      `moorage:images.${name}: ${image.archive} holds ${found}, the configuration says ${image.imageId}; build the archive again or correct imageId`,
    );
  }
  return found;
}
