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
  const problems = imageProblems(images);
  if (problems.length > 0) throw new ConfigError(problems);
  const archives: Record<string, ImageArchive> = {};
  const references = Object.entries(images).map(([name, image]: [string, ImageConfig]) => {
    if (!("archive" in image)) return [name, `${shortened(image.name)}@${image.digest}`];
    const imageId = idOf(image);
    archives[name] = { archive: image.archive, imageId };
    return [name, imageId];
  });
  return { references: Object.fromEntries(references) as ResolvedImages["references"], archives };
}

/**
 * Docker's provider records `docker.io/library/nginx` as `nginx`: given the long name, every preview would show an update.
 * The short one names the same image.
 */
const shortened = (name: string): string => name.replace(/^(index\.)?docker\.io\/(library\/)?/, "");

/** Of each archive, that it is missing, is none, or holds another image. */
export function imageProblems(images: Partial<ImagesConfig>): Problem[] {
  return Object.entries(images).flatMap(([name, image]: [string, ImageConfig]): Problem[] => {
    if (!("archive" in image)) return [];
    const { archive, imageId } = image;
    try {
      const found = idOf(image);
      if (imageId === undefined || imageId === found) return [];
      const wanted = `${found}, which ${archive} holds, or that archive built again`;
      return [{ path: `images.${name}.imageId`, found: imageId, wanted }];
    } catch (error) {
      const wanted = `an archive made by \`docker save\`: ${(error as Error).message}`;
      return [{ path: `images.${name}.archive`, found: archive, wanted }];
    }
  });
}

/** Where the archive is not at hand, as on a machine that only previews, the configured id has to do. */
function idOf({ archive, imageId }: { readonly archive: string; readonly imageId?: string }): string {
  return imageId !== undefined && !fs.existsSync(archive) ? imageId : imageIdOfArchive(archive);
}
