/** `make lab` on a lab that is up: it changes nothing, and every command that it prints works. */
import * as fs from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { must, run } from "../../../lab/exec";
import { checkout } from "../../../lab/instance";
import { TestLab } from "../../support/testLab";
import { timed } from "../../support/waiting";

/** The parts of `make lab`. */
const parts = ["tools", "images", "hosts", "pulumi up", "push and pull"];

let lab: TestLab;
/** Its output. */
let printed = "";

beforeAll(async () => {
  lab = await TestLab.standing();
});

const env = () => ({ MOORAGE_LAB: String(lab.instance.number) });
const shell = (line: string): Promise<string> =>
  must("bash", ["-ec", line], { env: env(), cwd: checkout(), timeoutMs: 180_000 });
const url = (): string => `https://127.0.0.1:${lab.instance.registryPort}`;

/** What follows a word at the beginning of a line, for each such line. */
const after = (word: RegExp): string[] =>
  [...printed.matchAll(new RegExp(`^ *${word.source} +(.+)$`, "gm"))].map((match) => match.at(-1) ?? "");

test("it updates nothing, pushes and pulls, and prints the time of each part", async () => {
  const { code, stdout, stderr } = await timed("make lab without a change", () =>
    run("make", ["lab"], { env: env(), cwd: checkout() }),
  );
  expect(code, stderr).toBe(0);
  printed = stdout;
  expect(stdout).toMatch(/Resources:\n\s+\d+ unchanged\n/);
  expect(stdout).not.toMatch(/created|updated|replaced|deleted/);
  expect(stdout + stderr).not.toMatch(/warning/i);
  expect(stderr.split("\n").filter((line) => parts.includes(line))).toEqual(parts);
  // Each part names what it had to do.
  expect(stderr).not.toMatch(/network \S+ in|hypervisor:|switched on|forwards on|booting|cut off/);

  const { host } = await lab.access();
  expect(after(/Registry/)).toEqual([`https://${host} on the lab's network, ${url()} from here`]);
  const pushed = after(/Pushed/).map((line) => line.replace(/sha256:[0-9a-f]{64}/, "DIGEST"));
  expect(pushed).toEqual([`${host}/demo/hello@DIGEST from client1, pulled on client2`]);
  const [, time = ""] = /^Time\n((?: {2}\S.*\n)+)/m.exec(stdout) ?? [];
  const lines = time.trimEnd().split("\n");
  expect(lines.map((line) => line.replace(/ +\d+\.\d s$/, ""))).toEqual(
    [...parts, "all of it"].map((name) => `  ${name}`),
  );
});

test("its commands for the CA and for a login work", async () => {
  const [trust = ""] = after(/Trust its CA/);
  const curl = /^curl --cacert \S+/.exec(trust)?.[0] ?? "";
  const status = `${curl} --silent --output /dev/null --write-out '%{http_code}' ${url()}/v2/`;
  expect(await shell(status)).toBe("401");
  const certificate = /install -D -m 0644 (\S+) \/etc\/docker\/certs\.d\/(\S+)\/ca\.crt$/.exec(trust);
  expect(certificate?.[2]).toBe(`127.0.0.1:${lab.instance.registryPort}`);
  expect(fs.readFileSync(certificate?.[1] ?? "", "utf8")).toBe((await lab.access()).caCertificate);

  const [login = ""] = after(/Log in/);
  // This machine may have no Docker: this function asks the registry what Docker would.
  const docker =
    'docker() { curl --fail --silent --show-error --cacert "$REGISTRY_CA" --config - "https://$5/v2/" <<<"user = $3:$(cat)"; }';
  expect(await shell(`${docker}; ${login} && echo in`)).toMatch(/\{\}\s*in\n$/);
  const catalog = await shell(
    'eval "$(make -s env)"; pulumi stack output registryUrl; curl --silent --cacert "$REGISTRY_CA" --config - "$REGISTRY_URL/v2/_catalog" <<<"user = $REGISTRY_USER:$REGISTRY_PASSWORD"',
  );
  expect(catalog).toMatch(/^https:\/\/\S+\n\{"repositories":\[.*"demo\/hello"/);
});

test("its commands for each node work", async () => {
  for (const { name } of lab.nodes) {
    const [line = ""] = after(new RegExp(name));
    expect(line).toMatch(/^ssh -p \d+ -i /);
    expect(await shell(`${line} -o BatchMode=yes -o StrictHostKeyChecking=yes hostname`)).toBe(`${name}\n`);
  }
  const [other = ""] = after(/or/).filter((line) => line.startsWith("npm"));
  expect(await shell(`${other} hostname`)).toBe("coreos1\n");
});
