/** Images of another program. */
import * as fs from "node:fs";
import * as path from "node:path";
import { packLayer, writeArchive, type ImageConfig, type Layer } from "../../lab/archive";
import { LabError, must, run } from "../../lab/exec";

/**
 * Writes a variant of an image archive in which a program has another checksum, and does the same: what stands behind
 * the end of an ELF file is not read.
 * @param program its path in the image, such as `usr/bin/minio`
 */
export async function otherProgram(archive: string, target: string, program: string): Promise<void> {
  const folder = fs.mkdtempSync(`${target}.`);
  const read = (name: string): unknown => JSON.parse(fs.readFileSync(path.join(folder, name), "utf8"));
  try {
    await must("tar", ["-xf", archive, "-C", folder]);
    const [manifest] = read("manifest.json") as { Config: string; RepoTags: string[]; Layers: string[] }[];
    if (!manifest) throw new LabError(`${archive} holds no image`);
    const image = read(manifest.Config) as { config: ImageConfig; rootfs: { diff_ids: string[] } };
    const layers = manifest.Layers.map((name, index): Layer => {
      const digest = image.rootfs.diff_ids[index]?.replace("sha256:", "") ?? "";
      return { file: path.join(folder, name), digest };
    });
    const own = path.join(folder, "own");
    fs.mkdirSync(own);
    // The layer's folders are laid over those of the image, and mean what they do.
    fs.chmodSync(own, 0o755);
    for (const { file } of layers) await run("tar", ["-xf", file, "-C", own, `./${program}`]);
    if (!fs.existsSync(path.join(own, program))) throw new LabError(`${archive} has no ${program}`);
    fs.appendFileSync(path.join(own, program), `another one, of ${Date.now()}\n`);
    const more = await packLayer(own, path.join(folder, "own.tar"));
    await writeArchive(target, manifest.RepoTags[0] ?? "variant", image.config, [...layers, more]);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}
