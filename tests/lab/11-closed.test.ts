import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { inStore, registryUser, resourceOutput, rootUser } from "../support/store";
import { TestLab } from "../support/testLab";

let lab: TestLab;

beforeAll(async () => {
  lab = await TestLab.standing();
});

/** Puts a certificate for TLS clients from the stack's own authority on a client, and what it checks servers by. */
async function giveCertificate(client: string): Promise<void> {
  const folder = fs.mkdtempSync(path.join(lab.instance.dir, "certificate-"));
  const at = (name: string): string => path.join(folder, name);
  try {
    fs.writeFileSync(at("ca.key"), await resourceOutput(lab, "ca-key", "privateKeyPem"), { mode: 0o600 });
    fs.writeFileSync(at("ca.crt"), await resourceOutput(lab, "ca-certificate", "certPem"));
    fs.writeFileSync(at("extensions"), "extendedKeyUsage=clientAuth\n");
    const openssl = (line: string): void =>
      void execFileSync("openssl", line.split(" "), { cwd: folder, stdio: "ignore" });
    openssl(
      "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -subj /CN=operator -out request",
    );
    openssl("x509 -req -in request -CA ca.crt -CAkey ca.key -days 1 -extfile extensions -out cert.pem");
    for (const name of ["ca.crt", "cert.pem", "key.pem"]) {
      await lab.client(client, `cat > /tmp/${name}`, fs.readFileSync(at(name), "utf8"));
    }
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

describe("Docker's API on a node", () => {
  const version = "https://10.0.2.11:2376/version";
  const ask = (options: string): Promise<string> =>
    lab.client(
      "client1",
      `curl --silent --show-error --max-time 10 --cacert /tmp/ca.crt ${options} ${version} 2>&1; true`,
    );

  beforeAll(() => giveCertificate("client1"));

  test("answers whoever has a certificate from the stack's own authority", async () => {
    expect(await ask("--cert /tmp/cert.pem --key /tmp/key.pem")).toContain('"ApiVersion"');
  });

  test("refuses everybody else, and is not to be had without TLS", async () => {
    expect(await ask("")).toMatch(/certificate required/);
    const plain = "curl --silent --show-error --max-time 10 http://10.0.2.11:2375/version 2>&1; true";
    expect(await lab.client("client1", plain)).toMatch(/Failed to connect|Could not connect/);
  });
});

test("a front says to other fronts alone whether a password is the one of now there", async () => {
  const curl = "curl --silent --insecure --max-time 10 --write-out ' %{http_code}'";
  const where = "https://10.0.2.12/healthz/password";
  const asked = await lab.mustRoot(
    "coreos1",
    `front=$(docker ps --quiet --filter name=^nginx\\.)
     line=$(docker exec "$front" head -n 1 /etc/nginx/users.htpasswd)
     digest=$(printf %s "$line" | sha256sum)
     echo "user=\${line%%:*}&digest=\${digest%% *}"
     for query in "user=\${line%%:*}&digest=\${digest%% *}" "user=\${line%%:*}&digest=another"; do
       docker exec "$front" ${curl} --output /dev/null "${where}?$query"
     done`,
  );
  const [query = "", statuses] = asked.trim().split("\n");
  expect(statuses?.trim().split(/\s+/)).toEqual(["204", "404"]);
  expect(await lab.client("client1", `${curl} '${where}?${query}'`)).toMatch(/NAME_INVALID.* 404$/);
});

describe("the registry's user of the object store", () => {
  const asRegistry = async (line: string) => inStore(lab, await registryUser(lab), line);
  const asRoot = async (line: string) => inStore(lab, await rootUser(lab), line);

  /** Not the registry's, with an object in it. */
  const other = "store/not-the-registrys";
  beforeAll(async () => {
    expect(await asRoot(`mc mb ${other} && echo theirs | mc pipe ${other}/object`)).toContain("created");
    expect(await asRoot(`mc cat ${other}/object`)).toContain("theirs");
  });
  afterAll(() => asRoot(`mc rb --force ${other}`));

  test("reads and writes its bucket, makes no other, and administers nothing", async () => {
    expect(await asRegistry("mc ls store/registry")).toContain("docker/");
    expect(
      await asRegistry("echo own | mc pipe store/registry/probe && mc cat store/registry/probe"),
    ).toContain("own");
    expect(await asRegistry("mc rm store/registry/probe")).toContain("Removed");
    expect(await asRegistry("mc mb store/other")).toMatch(/Access Denied/);
    expect(await asRegistry("mc admin info store")).toMatch(/Access Denied/);
  });

  test("neither reads, lists, writes nor removes what is in another's bucket, nor sees that it is there", async () => {
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
