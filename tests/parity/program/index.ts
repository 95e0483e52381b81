/** One resource of each type that stand-ins have, wired as Moorage wires them. */
import * as command from "@pulumi/command";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import * as tls from "@pulumi/tls";

/** Differs from one update to the next. */
const word = process.env.PARITY_WORD ?? "first";

const password = new random.RandomPassword("password", { length: 24, special: false });
const token = new random.RandomId("token", { byteLength: 8 });
const hash = new command.local.Command(
  "hash",
  { create: "openssl passwd -6 -stdin", stdin: password.result, logging: "none" },
  { additionalSecretOutputs: ["stdout", "stderr"] },
);

const login = new tls.PrivateKey("login", { algorithm: "ED25519" });
const authorityKey = new tls.PrivateKey("authority-key", { algorithm: "ECDSA", ecdsaCurve: "P256" });
const authority = new tls.SelfSignedCert("authority", {
  privateKeyPem: authorityKey.privateKeyPem,
  subject: { commonName: "Parity", organization: "Moorage" },
  isCaCertificate: true,
  setSubjectKeyId: true,
  allowedUses: ["cert_signing", "crl_signing"],
  validityPeriodHours: 87_600,
});
const leafKey = new tls.PrivateKey("leaf-key", { algorithm: "ECDSA", ecdsaCurve: "P256" });
const request = new tls.CertRequest("request", {
  privateKeyPem: leafKey.privateKeyPem,
  subject: { commonName: "leaf" },
  dnsNames: ["registry.example", "localhost"],
  ipAddresses: ["127.0.0.1"],
});
const leaf = new tls.LocallySignedCert("leaf", {
  certRequestPem: request.certRequestPem,
  caPrivateKeyPem: authorityKey.privateKeyPem,
  caCertPem: authority.certPem,
  allowedUses: ["digital_signature", "server_auth"],
  setSubjectKeyId: true,
  validityPeriodHours: 8760,
  earlyRenewalHours: 2160,
});

const provider = new docker.Provider("docker", {
  host: "ssh://moorage@parity",
  sshOpts: ["-o", "LogLevel=ERROR"],
});
const labels = [{ label: "moorage.stack", value: "organization/moorage/dev" }];
const network = new docker.Network(
  "network",
  {
    name: "parity",
    driver: "overlay",
    ipamConfigs: [{ subnet: "10.40.0.0/24", gateway: "10.40.0.1", auxAddress: {} }],
    labels,
    options: { "com.docker.network.driver.overlay.vxlanid_list": "8040", encrypted: "" },
  },
  { provider },
);
const base64 = (text: string): string => Buffer.from(text).toString("base64");
const secret = new docker.Secret(
  "secret",
  { data: leafKey.privateKeyPem.apply(base64), labels },
  { provider },
);
const config = new docker.ServiceConfig("config", { data: base64(word), labels }, { provider });
const file = { fileMode: 0o400, fileUid: "0", fileGid: "0" };
const change = { parallelism: 1, delay: "2s", monitor: "10s", maxFailureRatio: "0.0", order: "stop-first" };
const service = new docker.Service(
  "service",
  {
    name: "parity",
    labels,
    mode: { replicated: { replicas: 1 } },
    endpointSpec: { mode: "dnsrr", ports: [] },
    updateConfig: { ...change, failureAction: "rollback" },
    rollbackConfig: { ...change, failureAction: "pause" },
    taskSpec: {
      containerSpec: {
        image: `sha256:${"a".repeat(64)}`,
        env: { WORD: word },
        labels,
        readOnly: true,
        init: true,
        capDrops: ["ALL"],
        stopGracePeriod: "30s",
        configs: [{ ...file, configId: config.id, configName: config.name, fileName: "/config" }],
        secrets: [
          {
            secretId: pulumi.unsecret(secret.id),
            secretName: pulumi.unsecret(secret.name),
            ...file,
            fileName: "/run/secrets/key",
          },
        ],
        mounts: [{ type: "tmpfs", target: "/tmp" }],
      },
      networksAdvanceds: [{ id: network.id }],
      placement: { constraints: ["node.labels.nowhere==true"] },
      restartPolicy: { condition: "any", delay: "2s", window: "0s" },
    },
  },
  { provider },
);

export = {
  password: password.result,
  hash: hash.stdout,
  token: token.hex,
  login: login.privateKeyOpenssh,
  loginPublic: login.publicKeyOpenssh,
  authority: authority.certPem,
  leaf: leaf.certPem,
  leafKey: leafKey.privateKeyPem,
  service: service.id,
};
