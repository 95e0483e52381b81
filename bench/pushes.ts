/**
 * Clients that push images of one layer, each on a connection that it keeps: reads a job as JSON from standard input, and prints
 * what it came to. A process of its own, so that it can run in a client's network namespace.
 */
import { createHash, randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as http from "node:http";
import * as https from "node:https";
import type { Image, Registry } from "./pulls";

export interface Pushes extends Registry {
  readonly clients: number;
  readonly times: number;
  /** Of each layer. */
  readonly bytes: number;
  /** Part of the names of what is pushed. */
  readonly id: string;
}

export interface Pushed {
  readonly seconds: number;
  readonly images: Image[];
}

const manifestType = "application/vnd.oci.image.manifest.v1+json";
const layerType = "application/vnd.oci.image.layer.v1.tar+gzip";
const configType = "application/vnd.oci.image.config.v1+json";

class Client {
  private readonly agent: http.Agent;

  constructor(private readonly registry: Registry) {
    const options = { keepAlive: true, maxSockets: 1 };
    this.agent = registry.base.startsWith("https:")
      ? new https.Agent({ ...options, ca: registry.ca })
      : new http.Agent(options);
  }

  /** @returns the header Location @throws for a status of 400 or more */
  private ask(
    method: string,
    target: string,
    body: Buffer = Buffer.alloc(0),
    type = "application/octet-stream",
  ) {
    const { base, auth } = this.registry;
    const url = new URL(target, base);
    const headers = { "content-type": type, "content-length": body.length };
    return new Promise<string>((resolve, reject) => {
      const sent = (url.protocol === "https:" ? https : http).request(
        url,
        { method, agent: this.agent, auth, headers },
        (response) => {
          const { statusCode = 0, headers } = response;
          response.resume().on("error", reject);
          response.on("end", () => {
            if (statusCode >= 400) reject(new Error(`${method} ${target}: status ${statusCode}`));
            else resolve(headers.location ?? "");
          });
        },
      );
      sent.on("error", reject);
      sent.end(body);
    });
  }

  /** As Docker uploads: POST, PATCH, PUT. */
  private async upload(repository: string, content: Buffer): Promise<string> {
    const digest = `sha256:${createHash("sha256").update(content).digest("hex")}`;
    const begun = await this.ask("POST", `/v2/${repository}/blobs/uploads/`);
    const end = new URL(await this.ask("PATCH", begun, content), this.registry.base);
    end.searchParams.set("digest", digest);
    await this.ask("PUT", end.href);
    return digest;
  }

  async push(repository: string, tag: string, content: Buffer): Promise<Image> {
    const layer = await this.upload(repository, content);
    const settings = Buffer.from(JSON.stringify({ rootfs: { type: "layers", diff_ids: [layer] } }));
    const config = await this.upload(repository, settings);
    const manifest = {
      schemaVersion: 2,
      mediaType: manifestType,
      config: { mediaType: configType, size: settings.length, digest: config },
      layers: [{ mediaType: layerType, size: content.length, digest: layer }],
    };
    const body = Buffer.from(JSON.stringify(manifest));
    await this.ask("PUT", `/v2/${repository}/manifests/${tag}`, body, manifestType);
    return { repository, tag, config, layer };
  }

  close(): void {
    this.agent.destroy();
  }
}

async function push(job: Pushes): Promise<Pushed> {
  const images: Image[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    const client = new Client(job);
    while (next < job.times) {
      const repository = `bench/${job.id}-${next++}`;
      images.push(await client.push(repository, "v1", randomBytes(job.bytes)));
    }
    client.close();
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: job.clients }, worker));
  return { images, seconds: (performance.now() - start) / 1000 };
}

if (require.main === module) {
  void push(JSON.parse(fs.readFileSync(0, "utf8")) as Pushes).then((done) =>
    process.stdout.write(JSON.stringify(done)),
  );
}
