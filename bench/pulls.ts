/** Clients that pull: a process of curl each, which keeps its connection. */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { must } from "../lab/exec";

export interface Registry {
  /** Such as `https://10.0.2.10`. */
  readonly base: string;
  readonly ca?: string;
  /** `user:password` */
  readonly auth?: string;
}

/** An image of one layer. */
export interface Image {
  readonly repository: string;
  readonly tag: string;
  readonly config: string;
  readonly layer: string;
}

export interface Pulls {
  readonly clients: number;
  /** Of all clients together. */
  readonly times: number;
  /** What is pulled, in turn. */
  readonly images: readonly Image[];
}

/** Milliseconds of each pull: all of it, the manifest by its tag, the layer, and the layer's first byte. */
export interface Pulled {
  readonly pull: number[];
  readonly manifest: number[];
  readonly layer: number[];
  readonly firstByte: number[];
}

const accept = "application/vnd.oci.image.manifest.v1+json";

const REQUESTS = 3;

/** The requests by which Docker and skopeo pull an image of one layer. */
const urlsOf = ({ repository, tag, config, layer }: Image): string[] => [
  `/v2/${repository}/manifests/${tag}`,
  `/v2/${repository}/blobs/${config}`,
  `/v2/${repository}/blobs/${layer}`,
];

/** @param inside command that runs another in the clients' network namespace */
export async function pull(inside: readonly string[], registry: Registry, pulls: Pulls): Promise<Pulled> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-bench-"));
  const ca = path.join(folder, "ca.pem");
  fs.writeFileSync(ca, registry.ca ?? "");
  const settings = [
    // As Docker and skopeo do.
    "http1.1",
    "silent",
    "fail",
    "show-error",
    `header = "accept: ${accept}"`,
    'write-out = "%{time_starttransfer} %{time_total}\\n"',
    ...(registry.ca === undefined ? [] : [`cacert = "${ca}"`]),
    ...(registry.auth === undefined ? [] : [`user = "${registry.auth}"`]),
  ];
  const [command = "", ...args] = [...inside, "curl", "--config", "-"];
  const one = async (client: number): Promise<number[][]> => {
    const own = Array.from({ length: pulls.times }, (_, index) => index).filter(
      (index) => index % pulls.clients === client,
    );
    const images = own.flatMap((index) => pulls.images[index % pulls.images.length] ?? []);
    const urls = images.flatMap(urlsOf).map((url) => `url = "${registry.base}${url}"\noutput = /dev/null`);
    const said = await must(command, args, { input: [...settings, ...urls, ""].join("\n") });
    return said
      .trim()
      .split("\n")
      .map((line) => line.split(" ").map((seconds) => Number(seconds) * 1000));
  };
  try {
    const times = (
      await Promise.all(Array.from({ length: pulls.clients }, (_, client) => one(client)))
    ).flat();
    const total = (at: number): number => times[at]?.[1] ?? NaN;
    const starts = times.map((_, at) => at).filter((at) => at % REQUESTS === 0);
    return {
      pull: starts.map((at) => total(at) + total(at + 1) + total(at + 2)),
      manifest: starts.map(total),
      layer: starts.map((at) => total(at + 2)),
      firstByte: starts.map((at) => times[at + 2]?.[0] ?? NaN),
    };
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}
