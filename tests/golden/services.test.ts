import {
  minioCommand,
  minioSysctls,
  minioEnvironment,
  pickScript,
  renderNginx,
  renderRegistryConfig,
  renderRights,
  renderS3Balancer,
  rightsScript,
} from "@moorage/render";
import { it } from "vitest";
import { expectGolden, expectVariant } from "./golden";
import { nodes } from "./models";

it("the registry's configuration", () => {
  const text = renderRegistryConfig({
    bucket: "registry",
    endpoint: "http://s3-coreos1:9000",
    region: "us-east-1",
    accessKey: "registry",
    secretKey: 'a "quoted" secret: #1',
    httpSecret: "shared",
  });
  expectGolden("registry.yml", text);
});

it("nginx", () => {
  const text = renderNginx({
    registries: nodes.map(({ name }) => ({ name: `registry-${name}`, port: 5000 })),
    balancers: nodes.map(({ name }) => ({ name: `s3-${name}`, port: 9000 })),
    listenPort: 8443,
    serverNames: ["registry.example.com", "10.0.2.10"],
    certificatePath: "/run/secrets/front.pem",
    keyPath: "/run/secrets/front.key",
    htpasswdPath: "/run/secrets/htpasswd",
    previousHtpasswdPath: "/run/secrets/htpasswd-previous",
    previousUntil: { admin: 1800000000, ci: 1800000900 },
    fronts: nodes.map(({ address }) => `${address}:443`),
    rightsPath: "/etc/nginx/rights.js",
    healthFrom: nodes.map(({ address }) => address),
  });
  expectGolden("nginx.conf", text);
});

it("which registry nginx asks", () => {
  const registries = nodes.map(({ name }) => ({
    name: `registry-${name}`,
    port: 5000,
    balancer: { name: `s3-${name}`, port: 9000 },
  }));
  expectGolden("pick.js", pickScript(registries));
});

it("users and rights", () => {
  expectGolden("rights.js", rightsScript());
  expectGolden(
    "users.js",
    renderRights([
      { name: "admin", rights: [{ prefix: "", access: "write" }] },
      {
        name: "ci",
        rights: [
          { prefix: "team/", access: "write" },
          { prefix: "base", access: "read" },
        ],
      },
      { name: "nobody", rights: [] },
    ]),
  );
});

it("the S3 balancer", () => {
  const backends = nodes.map(({ name }) => ({ name: `minio-${name}`, port: 9000 }));
  const besideMember = renderS3Balancer({ backends, preferred: "minio-coreos1" });
  expectGolden("s3-balancer.cfg", besideMember);
  expectVariant("s3-balancer-elsewhere.cfg", besideMember, renderS3Balancer({ backends }));
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
