/** Follows docs/trust.md on a client that does not trust the CA. */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { must } from "../../../lab/exec";
import { checkout } from "../../../lab/instance";
import { pushAndPull } from "../../../lab/journey/push";
import { helloArchive, TestLab } from "../../support/testLab";
import { project } from "../../support/stacks";

const client = "client2";
const page = fs.readFileSync(path.join(project, "docs", "trust.md"), "utf8");
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-trust-"));

let lab: TestLab;
let registry: string;
let digest: string;

beforeAll(async () => {
  lab = await TestLab.standing();
  registry = (await lab.access()).host;
  digest = await pushAndPull(lab.instance, await lab.access(), helloArchive(lab));
  await lab.client(client, `docker logout ${registry}; docker image rm --force ${image()}`);
  await lab.mustRoot(client, `rm -r /etc/docker/certs.d/${registry}`);
});

afterAll(() => fs.rmSync(folder, { recursive: true }));

const image = (): string => `${registry}/demo/hello@${digest}`;

/** The lines of the page's code block after a text. */
function commandsAfter(text: string): string[] {
  const block = page.split(text)[1]?.split("```")[1];
  if (block === undefined) throw new Error(`docs/trust.md has no commands after "${text}"`);
  return block.trim().split("\n");
}

/** Runs the page's login, with the answers to its questions as options. */
async function login(command = `docker login ${registry}`): Promise<string> {
  const { username, password } = await lab.access();
  return lab.client(client, `${command} --username ${username} --password-stdin`, password);
}

test("without the CA, login and pull fail", async () => {
  const refusal = /x509: certificate signed by unknown authority/;
  await expect(login()).rejects.toThrow(refusal);
  await expect(lab.client(client, `docker pull ${image()}`)).rejects.toThrow(refusal);
});

test("with the page's steps for Docker on Linux, login and pull work", async () => {
  const fetching = commandsAfter("Its certificate is a stack output and no secret:");
  expect(fetching).toEqual(["pulumi stack output caCertificate > moorage-ca.crt"]);
  await must("sh", ["-ec", fetching.join("\n")], {
    cwd: folder,
    env: { ...lab.env, PULUMI_OPTION_CWD: checkout() },
  });
  const certificate = fs.readFileSync(path.join(folder, "moorage-ca.crt"), "utf8");
  await lab.client(client, "cat > moorage-ca.crt", certificate);

  const steps = commandsAfter("On Linux with Docker:").map((line) => line.replaceAll("REGISTRY", registry));
  expect(steps.at(-1)).toBe(`docker login ${registry}`);
  await lab.client(client, `set -e; ${steps.slice(0, -1).join("; ")}`);
  expect(await login(steps.at(-1))).toContain("Login Succeeded");
  expect(await lab.client(client, `docker pull --quiet ${image()}`)).toContain(digest);
});
