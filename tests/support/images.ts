import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { must } from "../../lab/exec";

interface ImageConfig {
  config: { Labels?: Record<string, string>; Entrypoint?: string[]; Env?: string[]; Cmd?: string[] };
}

/** Writes a variant of an image archive whose configuration differs, and so its id. */
export async function variantOf(
  archive: string,
  target: string,
  change: (image: ImageConfig) => void,
): Promise<void> {
  const folder = fs.mkdtempSync(`${target}.`);
  try {
    await must("tar", ["-xf", archive, "-C", folder]);
    const manifestFile = path.join(folder, "manifest.json");
    const [manifest] = JSON.parse(fs.readFileSync(manifestFile, "utf8")) as {
      Config: string;
      RepoTags: string[];
    }[];
    if (!manifest) throw new Error(`${archive} holds no image`);
    const image = JSON.parse(fs.readFileSync(path.join(folder, manifest.Config), "utf8")) as ImageConfig;
    change(image);
    const text = JSON.stringify(image);
    const name = `${createHash("sha256").update(text).digest("hex")}.json`;
    fs.writeFileSync(path.join(folder, name), text);
    fs.writeFileSync(manifestFile, JSON.stringify([{ ...manifest, Config: name }]));
    await must("tar", ["-cf", target, "-C", folder, "."]);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}
