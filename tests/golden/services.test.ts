import {
  minioCommand,
  minioSysctls,
  minioEnvironment,
  proxiesFiles,
  renderRegistryConfig,
  type NodeFiles,
  type ProxiesArgs,
} from "@moorage/render";
import { it } from "vitest";
import { expectGolden, expectVariant } from "./golden";
import { nodes } from "./models";

it("the registry's configuration", () => {
  const text = renderRegistryConfig({
    bucket: "registry",
    endpoint: "http://haproxy-coreos1:9000",
    region: "us-east-1",
    accessKey: "registry",
    secretKey: 'a "quoted" secret: #1',
    httpSecret: "shared",
  });
  expectGolden("registry.yml", text);
});

const proxies: ProxiesArgs = {
  haproxy: {
    service: "haproxy-coreos1",
    registries: nodes.map(({ name }) => `registry-${name}`),
    minio: nodes.map(({ name }) => `minio-${name}`),
    ownMinio: "minio-coreos1",
  },
  nginx: {
    service: "nginx",
    haproxies: nodes.map(({ name }) => `haproxy-${name}`),
    users: [
      { name: "admin", rights: [{ prefix: "", access: "write" }] },
      {
        name: "ci",
        rights: [
          { prefix: "team/", access: "write" },
          { prefix: "base", access: "read" },
        ],
      },
      { name: "nobody", rights: [] },
    ],
    htpasswd: "admin:$2y$10$hash\n",
    certificate: "a certificate\n",
    key: "a key\n",
    neighbours: nodes.map(({ address }) => address),
    proxyTimeoutSeconds: 900,
    cacheGibibytes: 10,
    limits: { connections: 1024, writesPerUser: 32, requestsPerSecond: 200, layerGibibytes: 312 },
  },
  passwordGraceMinutes: 15,
};

/** The contents of the files that differ from stack to stack. */
function generated({ files }: NodeFiles, folder: string): string {
  const own = /\/(apply\.env|servers\.cfg|users\..*|front\..*|(upstream|neighbours|rates|limits|upload|cache)\.conf)$/;
  return Object.entries(files)
    .filter(([path]) => path.startsWith(folder) && own.test(path))
    .map(([path, { content }]) => `==> ${path}\n${content}`)
    .join("\n");
}

it("nginx's and HAProxy's files", () => {
  const all = proxiesFiles(proxies);
  const listed = Object.entries(all.files).map(
    ([path, { mode, apply }]) => `${path} ${mode.toString(8)} ${JSON.stringify(apply)}\n`,
  );
  const units = Object.entries(all.units).map(([name, { content }]) => `\n==> ${name}\n${content}`);
  expectGolden("proxies.txt", [...listed, ...units].join(""));
  expectGolden("nginx.txt", generated(all, "/etc/moorage/nginx"));
  const servers = generated(all, "/etc/moorage/haproxy");
  expectGolden("servers.cfg", servers);
  const elsewhere = { ...proxies, haproxy: { ...proxies.haproxy, ownMinio: undefined } };
  expectVariant("servers-elsewhere.cfg", servers, generated(proxiesFiles(elsewhere), "/etc/moorage/haproxy"));
});

it("MinIO's arguments, environment and kernel settings", () => {
  const names = nodes.map(({ name }) => `minio-${name}`);
  const files = { rootUserFile: "/run/secrets/root-user", rootPasswordFile: "/run/secrets/root-password" };
  const environment = minioEnvironment({ ...files, region: "us-east-1" });
  const settings = (all: Readonly<Record<string, string>>): string =>
    Object.entries(all)
      .map(([name, value]) => `${name}=${value}\n`)
      .join("");
  const command = `${minioCommand({ names }).join("\n")}\n`;
  expectGolden("minio.txt", [command, settings(environment), settings(minioSysctls)].join("\n"));
});
