/** Docker's API and the object store, with and without credentials. */
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { inStore, registryUser, rootUser, resourceOutput } from "../../support/store";
import { TestLab } from "../../support/testLab";

let lab: TestLab;

beforeAll(async () => {
  lab = await TestLab.standing();
});

/** Puts a client certificate from a CA of the stack on a client, as CA.pem and CA.key. */
async function giveCertificate(client: string, ca: string): Promise<void> {
  const folder = fs.mkdtempSync(path.join(lab.instance.dir, "certificate-"));
  const at = (name: string): string => path.join(folder, name);
  try {
    fs.writeFileSync(at("ca.key"), await resourceOutput(lab, `${ca}-key`, "privateKeyPem"), { mode: 0o600 });
    fs.writeFileSync(at("ca.crt"), await resourceOutput(lab, `${ca}-certificate`, "certPem"));
    fs.writeFileSync(at("extensions"), "extendedKeyUsage=clientAuth\n");
    const openssl = (line: string): void =>
      void execFileSync("openssl", line.split(" "), { cwd: folder, stdio: "ignore" });
    openssl(
      "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -subj /CN=operator -out request",
    );
    openssl("x509 -req -in request -CA ca.crt -CAkey ca.key -days 1 -extfile extensions -out cert.pem");
    for (const [name, of] of [
      ["cert.pem", "pem"],
      ["key.pem", "key"],
    ] as const) {
      await lab.client(client, `cat > /tmp/${ca}.${of}`, fs.readFileSync(at(name), "utf8"));
    }
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

test("Docker's API answers only over TLS with a client certificate from its own CA, etcd only with one from etcd's", async () => {
  for (const ca of ["ca", "ca-docker", "ca-etcd"]) await giveCertificate("client1", ca);
  const outputs = await lab.outputs();
  for (const output of ["dockerCaCertificate", "etcdCaCertificate"]) {
    await lab.client("client1", `cat > /tmp/${output}`, String(outputs[output]));
  }
  const ask = (options: string): Promise<string> =>
    lab.client("client1", `curl --silent --show-error --max-time 10 ${options} 2>&1; true`);
  const refusal = /certificate required|bad certificate|unknown (ca|certificate authority)/i;
  const docker = "--cacert /tmp/dockerCaCertificate https://10.0.2.11:2376/version";
  const etcd = "--cacert /tmp/etcdCaCertificate https://10.0.2.11:2379/version";
  const as = (ca: string): string => `--cert /tmp/${ca}.pem --key /tmp/${ca}.key`;
  expect(await ask(`${as("ca-docker")} ${docker}`)).toContain('"ApiVersion"');
  expect(await ask(`${as("ca-etcd")} ${etcd}`)).toContain('"etcdserver"');
  for (const refused of [
    docker,
    `${as("ca")} ${docker}`,
    `${as("ca-etcd")} ${docker}`,
    `${as("ca")} ${etcd}`,
    `${as("ca-docker")} ${etcd}`,
  ]) {
    expect(await ask(refused), refused).toMatch(refusal);
  }
  expect(await ask("http://10.0.2.11:2375/version")).toMatch(/Failed to connect|Could not connect/);
});

describe("the registry's user in MinIO", () => {
  const asRegistry = async (line: string) => inStore(lab, await registryUser(lab), line);
  const asRoot = async (line: string) => inStore(lab, await rootUser(lab), line);
  /** Another user's bucket. */
  const other = "store/not-the-registrys";

  beforeAll(async () => {
    expect(await asRoot(`mc mb ${other} && echo theirs | mc pipe ${other}/object`)).toContain("created");
    expect(await asRoot(`mc cat ${other}/object`)).toContain("theirs");
  });
  afterAll(() => asRoot(`mc rb --force ${other}`));

  test("reads and writes its bucket, creates no other and administers nothing", async () => {
    expect(await asRegistry("mc ls store/registry")).toContain("docker/");
    expect(
      await asRegistry("echo own | mc pipe store/registry/probe && mc cat store/registry/probe"),
    ).toContain("own");
    expect(await asRegistry("mc rm store/registry/probe")).toContain("Removed");
    expect(await asRegistry("mc mb store/other")).toMatch(/Access Denied/);
    expect(await asRegistry("mc admin info store")).toMatch(/Access Denied/);
  });

  test("cannot read, list, write, remove or see another bucket", async () => {
    for (const line of [
      `mc cat ${other}/object`,
      `mc ls ${other}`,
      `echo mine | mc pipe ${other}/mine`,
      `mc rm ${other}/object`,
      `mc rb --force ${other}`,
    ]) {
      expect(await asRegistry(line), line).toMatch(/Access Denied|Insufficient permissions/);
    }
    const seen = await asRegistry("mc ls store");
    expect(seen).toContain("registry/");
    expect(seen).not.toContain("not-the-registrys");
    expect(await asRoot(`mc ls ${other}`)).toMatch(/object\n?$/);
  });
});
