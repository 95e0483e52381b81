import { beforeAll, describe, expect, test } from "vitest";
import { plain, secretPaths, shown, unknownPaths, type Recorder } from "../support/mocks";
import { rawStack, type RawConfig } from "../support/stacks";
import { articleConfig, everythingConfig } from "../golden/everything";
import { mistakesOf } from "../unit/config/mistakes";
import { identities, rawConfig } from "./parts";
import { program } from "./program";

/** Lines without the names of nodes, each once. */
function normalized(lines: readonly string[]): string[] {
  return [...new Set(lines.map((line) => line.replace(/coreos\d/g, "NODE")))].sort();
}

/** `name path` of what `find` finds in the inputs of each resource. */
function everywhere(recorder: Recorder, find: (value: unknown) => string[]): string[] {
  return recorder.resources.flatMap(({ name, inputs }) => find(inputs).map((path) => `${name} ${path}`));
}

/** Types with the longest name that Docker takes, and what Pulumi adds to the resource's own. */
const dockerNames: readonly [string, number, string][] = [
  ["docker:index/service:Service", 63, ""],
  ["docker:index/secret:Secret", 64, "-1234567"],
  ["docker:index/serviceConfig:ServiceConfig", 64, "-1234567"],
];

const sshAuthorizedKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const { images = {} } = rawConfig();

let recorder: Recorder;
let preview: Recorder;
beforeAll(async () => {
  recorder = await program(rawConfig());
  preview = await program(rawConfig(), { firstPreview: true });
});

describe("the program", () => {
  test("is its components", () => {
    expect(recorder.children("moorage-dev")).toEqual([
      "Acceptance acceptance",
      "CertificateAuthority ca",
      "Edge edge",
      "Etcd etcd",
      "Fleet fleet",
      "Healing healing",
      "ObjectStore store",
      "Proxies proxies",
      "Registry registry",
      "RegistryUsers users",
      "Swarm swarm",
    ]);
  });

  test("checks each service's health in its container", () => {
    const checks = recorder.resources
      .filter(({ type }) => type === "docker:index/service:Service")
      .map(({ name, inputs }) => {
        const { taskSpec } = inputs as { taskSpec: { containerSpec: { healthcheck?: { tests: string[] } } } };
        return `${name}: ${taskSpec.containerSpec.healthcheck?.tests.join(" ") ?? "none"}`;
      });
    expect(normalized(checks)).toEqual([
      expect.stringMatching(/^haproxy-NODE: CMD [^]*:8404/),
      expect.stringMatching(/^minio-NODE: CMD [^]*\/minio\/health\/live/),
      expect.stringMatching(/^nginx: CMD .*\/health\.sh$/),
      expect.stringMatching(/^registry-NODE: CMD [^]*\/v2\/health-test\//),
    ]);
  });

  test("has names that Docker takes, with the longest name of a node", () => {
    const longest = "n".repeat(36);
    const raw = rawConfig(({ nodes = {} }) => Object.assign(nodes, { [longest]: nodes["coreos1"] }));
    expect(mistakesOf(raw).join()).not.toContain("a host name");
    const tooLong = recorder.resources.flatMap(({ type, name }) => {
      const [, limit = 0, added = ""] = dockerNames.find(([of]) => type === of) ?? [];
      const full = name.replace(/coreos\d/, longest) + added;
      return limit > 0 && full.length > limit ? [full] : [];
    });
    expect(tooLong).toEqual([]);
  });

  test("keeps the types that stacks have in their state", () => {
    const own = recorder.resources.map((one) => one.type).filter((type) => type.includes("moorage"));
    expect([...new Set(own)].sort()).toEqual([
      "moorage:acceptance:Acceptance",
      "moorage:edge:Edge",
      "moorage:edge:Proxies",
      "moorage:etcd:Etcd",
      "moorage:machine:CoreOsNode",
      "moorage:machine:Fleet",
      "moorage:machine:NodeAccess",
      "moorage:machine:UserPasswords",
      "moorage:pki:CertificateAuthority",
      "moorage:registry:Registry",
      "moorage:registry:RegistryUsers",
      "moorage:storage:Healing",
      "moorage:storage:ObjectStore",
      "moorage:swarm:Swarm",
      "moorage:swarm:SwarmService",
      "pulumi-nodejs:dynamic/moorage:AcceptanceChecks",
      "pulumi-nodejs:dynamic/moorage:Bucket",
      "pulumi-nodejs:dynamic/moorage:Converged",
      "pulumi-nodejs:dynamic/moorage:DataDisk",
      "pulumi-nodejs:dynamic/moorage:EtcdCluster",
      "pulumi-nodejs:dynamic/moorage:Installation",
      "pulumi-nodejs:dynamic/moorage:LoadedImages",
      "pulumi-nodejs:dynamic/moorage:NodeFilesPart",
      "pulumi-nodejs:dynamic/moorage:NodeNetwork",
      "pulumi-nodejs:dynamic/moorage:Preflight",
      "pulumi-nodejs:dynamic/moorage:StorageUser",
      "pulumi-nodejs:dynamic/moorage:SwarmMember",
      "pulumi-nodejs:dynamic/moorage:Swept",
    ]);
  });

  test("reaches everything of Docker through its own provider, and nothing else", () => {
    const others = recorder.resources.filter(
      (one) => one.type.startsWith("docker:") !== (one.provider !== ""),
    );
    expect(others).toEqual([]);
    expect([...new Set(recorder.ofType("").map((one) => one.provider))].sort()).toEqual(["", "swarm-docker"]);
  });

  test("outputs where the registry is, and how to log in", () => {
    const outputs = recorder.outputs.get("moorage-dev");
    expect(secretPaths(outputs)).toEqual([
      "consolePasswords.usera",
      "password",
      "passwords",
      "sshPrivateKey",
    ]);
    expect(shown(outputs)).toMatchObject({
      registryUrl: "https://10.0.2.10",
      caCertificate: "certificate ca-certificate",
      dockerCaCertificate: "certificate ca-docker-certificate",
      username: "admin",
      vip: "10.0.2.10",
      etcdEndpoints: ["https://10.0.2.11:2379", "https://10.0.2.12:2379", "https://10.0.2.13:2379"],
      etcdCaCertificate: "certificate ca-etcd-certificate",
      sshCommands: { coreos4: "ssh -p 2014 core@127.0.0.1" },
      nodes: { coreos4: { address: "10.0.2.14", hostKey: "ssh-ed25519 coreos4-host-key" } },
      report: [{ name: "push", passed: true }],
    });
  });

  test.each<[string, RawConfig]>([
    ["with the operator's public key", rawConfig((raw) => void (raw.os = { ...raw.os, sshAuthorizedKey }))],
    ["for hosts that run already", { ...rawStack("existing"), images }],
  ])("creates no login key %s", async (_when, raw) => {
    const own = await program(raw);
    expect(own.resources.map((one) => one.name)).not.toContain("fleet-login-key");
    const outputs = own.outputs.get("moorage-dev");
    expect(outputs).not.toHaveProperty("sshPrivateKey");
    const passwords = raw.os?.users ? ["consolePasswords.usera"] : [];
    expect(secretPaths(outputs)).toEqual([...passwords, "password", "passwords"]);
  });

  test.each<[string, RawConfig]>([
    ["Fedora CoreOS", everythingConfig("fedora-coreos")],
    ["Container Linux", articleConfig()],
  ])("runs with everything that %s can be configured with", async (_name, raw) => {
    const all = await program({ ...raw, images });
    expect(all.ofType(":Installation")).toHaveLength(Object.keys(raw.nodes ?? {}).length);
  });

  test("previews guests of another machine, whose name the registry's certificate has", async () => {
    const raw = rawStack("virtualbox");
    const ssh = { host: "workstation.domain.com", user: "you" };
    const hypervisor = { ...raw.hypervisor, ssh };
    const guests = await program({ ...raw, images, hypervisor }, { firstPreview: true });
    expect(guests.named("ca-front-request").inputs).toMatchObject({ dnsNames: [ssh.host, "localhost"] });
    expect(guests.outputs.get("moorage-dev")).toMatchObject({
      sshCommands: { coreos4: `ssh -p 2014 core@${ssh.host}` },
    });
    const unknown = unknownPaths(guests.named("coreos1-guest").inputs);
    expect(unknown).toEqual(expect.arrayContaining(["iso", "installerUserData"]));
    expect(unknown.filter((path) => path.startsWith("withPowerCycle"))).toEqual([]);
  });
});

describe("the certificates", () => {
  test("of the front, of Docker's API and of etcd each come from a CA that the other two do not trust", () => {
    const issued = recorder.ofType(":LocallySignedCert").map(({ name, inputs }) => {
      const { caCertPem, caPrivateKeyPem } = plain(inputs) as Record<string, string>;
      return `${name}: ${caCertPem}, ${caPrivateKeyPem}`;
    });
    expect(normalized(issued)).toEqual([
      "ca-docker-NODE-certificate: certificate ca-docker-certificate, private ca-docker-key",
      "ca-etcd-NODE-certificate: certificate ca-etcd-certificate, private ca-etcd-key",
      "ca-etcd-operator-certificate: certificate ca-etcd-certificate, private ca-etcd-key",
      "ca-front-certificate: certificate ca-certificate, private ca-key",
    ]);
    const trusted = ["coreos1-base", "etcd-coreos1"].flatMap((part) => {
      const { files } = plain(recorder.named(part).inputs) as { files: Record<string, { content: string }> };
      const isCa = ([path]: [string, unknown]) => /\/ca\.(pem|crt)$/.test(path);
      return Object.entries(files)
        .filter(isCa)
        .map(([path, { content }]) => `${path}: ${content}`);
    });
    expect(trusted.sort()).toEqual([
      "/etc/docker/certs.d/10.0.2.10/ca.crt: certificate ca-certificate",
      "/etc/docker/tls/ca.pem: certificate ca-docker-certificate",
      "/etc/moorage/etcd/ca.pem: certificate ca-etcd-certificate",
    ]);
    expect(recorder.named("etcd-cluster").inputs).toMatchObject({
      caCertificate: "certificate ca-etcd-certificate",
    });
    expect(recorder.named("acceptance-checks").inputs).toMatchObject({
      caCertificate: "certificate ca-certificate",
    });
    const subjects = recorder
      .ofType(":SelfSignedCert")
      .map(({ name, inputs }) => `${name}: ${(inputs.subject as { commonName: string }).commonName}`);
    expect(subjects.sort()).toEqual([
      "ca-certificate: Moorage dev",
      "ca-docker-certificate: Moorage dev Docker API",
      "ca-etcd-certificate: Moorage dev etcd",
    ]);
  });
});

describe("secrets of the program", () => {
  test("are these and no others: a preview shows the rest", () => {
    const isLogin = (line: string) =>
      /(connection|target|installer|managers\.\d|nodes\.\d|storageNodes?(\.\d)?)\.privateKey$/.test(line);
    const secrets = everywhere(recorder, secretPaths);
    expect(normalized(secrets.filter((line) => !isLogin(line)))).toEqual([
      "NODE-base files./etc/moorage/passwords.content",
      "NODE-base files.[/etc/docker/tls/key.pem].content",
      "NODE-installation userData",
      "acceptance-checks password",
      "ca-certificate privateKeyPem",
      "ca-docker-NODE-certificate caPrivateKeyPem",
      "ca-docker-NODE-request privateKeyPem",
      "ca-docker-certificate privateKeyPem",
      "ca-etcd-NODE-certificate caPrivateKeyPem",
      "ca-etcd-NODE-request privateKeyPem",
      "ca-etcd-certificate privateKeyPem",
      "ca-etcd-operator-certificate caPrivateKeyPem",
      "ca-etcd-operator-request privateKeyPem",
      "ca-front-certificate caPrivateKeyPem",
      "ca-front-request privateKeyPem",
      "etcd-NODE files.[/etc/moorage/etcd/member-key.pem].content",
      "etcd-cluster clientKey",
      "fleet-user-usera-hash stdin",
      "minio-NODE-root-password data",
      "minio-NODE-root-user data",
      "proxies-NODE files.[/etc/moorage/nginx/wanted/front.key].content",
      "proxies-NODE files.[/etc/moorage/nginx/wanted/users.htpasswd].content",
      "registry-NODE-config data",
      "store-bucket rootPassword",
      "store-bucket rootUser",
      "store-user rootPassword",
      "store-user rootUser",
      "store-user secretKey",
    ]);
  });

  test("stand in clear in no input and no output", () => {
    const clear = (value: unknown) =>
      decodeURIComponent(JSON.stringify(shown(value)).replace(/%(?![0-9A-F]{2})/g, ""));
    for (const one of recorder.resources) expect(clear(one.inputs), one.name).not.toMatch(/private /);
    for (const [name, outputs] of recorder.outputs) expect(clear(outputs), name).not.toMatch(/private /);
  });
});

describe("the first preview", () => {
  test("knows where Docker is reached, from the configuration alone", () => {
    const { inputs } = preview.named("swarm-docker");
    expect(unknownPaths(inputs)).toEqual([]);
    expect(inputs).toEqual(recorder.named("swarm-docker").inputs);
    expect(inputs.host).toMatch(/^ssh:\/\/moorage@swarm-[0-9a-f]{12}$/);
    const options = JSON.parse(String(inputs.sshOpts)) as string[];
    expect(options.filter((_, at) => at % 2 === 0)).toEqual(options.filter((one) => one === "-o"));
    expect(options).toContain(
      "ProxyCommand=node node_modules/@moorage/hosts/dist/bin/docker-proxy.js --stack organization/moorage/dev",
    );
  });

  test("plans the same resources that the update creates", () => {
    expect(identities(preview)).toEqual(identities(recorder));
  });

  test("does not know keys, certificates, ids and digests, and nothing else", () => {
    const unknown = everywhere(preview, unknownPaths).map((line) => line.slice(line.indexOf(" ") + 1));
    const [inServices, others] = [true, false].map((inside) =>
      normalized(unknown.filter((path) => path.startsWith("taskSpec.") === inside)),
    );
    expect(inServices?.filter((path) => !/\.(secretId|id)$/.test(path))).toEqual([]);
    const values =
      "accessKey caCertPem caCertificate caPrivateKeyPem certRequestPem clientCertificate clientKey data fingerprint " +
      "hosts.NODE.installHash installHash installation installations.NODE password " +
      "privateKeyPem rootPassword rootUser secretKey stdin userData";
    const files = [
      "/etc/moorage/passwords",
      "[/etc/docker/certs.d/10.0.2.10/ca.crt]",
      ...["ca.pem", "cert.pem", "key.pem"].map((file) => `[/etc/docker/tls/${file}]`),
      ...["ca.pem", "member-key.pem", "member.env", "member.pem"].map(
        (file) => `[/etc/moorage/etcd/${file}]`,
      ),
      ...["front.key", "front.pem", "users.htpasswd"].map((file) => `[/etc/moorage/nginx/wanted/${file}]`),
    ];
    const isLogin = (path: string) => /\.(hostKey|privateKey)$/.test(path);
    expect(others?.filter((path) => !isLogin(path))).toEqual(
      [...values.split(" "), ...files.map((file) => `files.${file}.content`)].sort(),
    );
  });
});
