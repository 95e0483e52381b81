/** A registry with TLS that keeps all in memory, and can be told to misbehave. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterwards, temporaryFolder } from "./stop";

export interface Faults {
  /** Uploads lead to this origin. */
  location?: string;
  /** Anybody may come in. */
  open?: boolean;
  /** Pushes answer with this status. */
  pushStatus?: number;
  /** Tags are not listed. */
  forgetTags?: boolean;
  /** Blobs come back altered. */
  alter?: boolean;
}

/** A certificate for the name, which is its own CA. */
export function certificate(name: string, days = 90): { key: string; cert: string } {
  const folder = temporaryFolder();
  const [key, cert] = [join(folder, "key"), join(folder, "cert")];
  const subject = ["-subj", `/CN=${name}`, "-addext", `subjectAltName=DNS:${name}`, "-days", String(days)];
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  execFileSync("openssl", ["req", "-x509", ...kind, "-keyout", key, "-out", cert, ...subject], {
    stdio: "ignore",
  });
  return { key: readFileSync(key, "utf8"), cert: readFileSync(cert, "utf8") };
}

export interface FakeRegistry {
  readonly port: number;
  readonly ca: string;
  readonly stored: Map<string, Buffer>;
  connections: number;
}

export async function startRegistry(name: string, faults: Faults = {}, days = 90): Promise<FakeRegistry> {
  const { key, cert } = certificate(name, days);
  const stored = new Map<string, Buffer>();
  const uploads = new Map<string, Buffer>();
  const digest = (content: Buffer) => `sha256:${createHash("sha256").update(content).digest("hex")}`;
  const server = createServer({ key, cert }, (request, response) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const body = Buffer.concat(chunks);
      const url = new URL(request.url ?? "/", "https://x");
      const { method = "" } = request;
      const send = (status: number, headers: Record<string, string> = {}, content: Buffer | string = "") => {
        response.writeHead(status, headers);
        response.end(method === "HEAD" ? undefined : content);
      };
      const login = `Basic ${Buffer.from("check:secret").toString("base64")}`;
      if (!faults.open && request.headers.authorization !== login)
        return send(401, { "WWW-Authenticate": "Basic" });
      if (url.pathname === "/v2/") return send(200);
      if (url.pathname === "/v2/_catalog") return send(200, {}, JSON.stringify({ repositories: [] }));
      const upload = /\/blobs\/uploads\/(\w*)$/.exec(url.pathname);
      if (upload) {
        if (faults.pushStatus) return send(faults.pushStatus, {}, "no");
        const id = upload[1] || String(uploads.size + 1);
        const Location = `${faults.location ?? ""}/v2/moorage/check/blobs/uploads/${id}?_state=a`;
        uploads.set(id, Buffer.concat([uploads.get(id) ?? Buffer.alloc(0), body]));
        if (method !== "PUT") return send(202, { Location });
        const content = uploads.get(id) ?? Buffer.alloc(0);
        if (digest(content) !== url.searchParams.get("digest")) return send(400, {}, "digest");
        stored.set(digest(content), content);
        return send(201, { Location: `/v2/moorage/check/blobs/${digest(content)}` });
      }
      if (url.pathname.endsWith("/tags/list")) {
        const tags = [...stored.keys()].filter((each) => !each.startsWith("sha256:"));
        return send(200, {}, JSON.stringify({ name: "x", tags: faults.forgetTags ? null : tags }));
      }
      const name = url.pathname.split("/").at(-1) ?? "";
      if (method === "PUT") {
        stored.set(name, body).set(digest(body), body);
        return send(201, { Location: url.pathname });
      }
      if (method === "DELETE") return send(stored.delete(name) ? 202 : 404);
      const content = stored.get(name);
      if (!content) return send(404);
      const shown =
        faults.alter && url.pathname.includes("/blobs/")
          ? Buffer.concat([content, Buffer.from("!")])
          : content;
      send(200, { "Docker-Content-Digest": digest(content) }, shown);
    })();
  });
  const registry = { port: 0, ca: cert, stored, connections: 0 };
  server.on("secureConnection", () => (registry.connections += 1));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  afterwards(() => {
    server.closeAllConnections();
    server.close();
  });
  return Object.assign(registry, { port: (server.address() as AddressInfo).port });
}
