import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { commandLinesDuring, expectNoSecret, madeSecretsIn, secretTextsIn } from "../../support/secrets";
import { until } from "../../support/waiting";

const secret = (value: unknown) => ({
  "4dabf18193072939515e22adb298388d": "x",
  plaintext: JSON.stringify(value),
});

/** The secrets of a state that holds one resource with these outputs. */
const found = (outputs: object): string[] => secretTextsIn({ deployment: { resources: [{ outputs }] } });

const key = "AAAAC3NzaC1lZDI1NTE5AAAAIHprivate0";
const longText = `${"the host is called coreos1\n".repeat(30)}${key}\n`;

test.each<[string, object, string[]]>([
  ["a text", { password: secret("0123456789") }, ["0123456789"]],
  [
    "each long line of a text",
    { files: { "/key": { content: secret("-----BEGIN\nAAAAAAAAAAAAAAAA\nshort\n") } } },
    ["AAAAAAAAAAAAAAAA"],
  ],
  [
    "objects and lists",
    { all: secret({ admin: "admin-password", list: ["reader-password"] }) },
    ["admin-password", "reader-password"],
  ],
  ["a secret within a secret", { nodes: secret([{ key: secret("inner-secret") }]) }, ["inner-secret"]],
  ["only keys in a long text", { userData: secret(longText) }, [key]],
  ["no public key", { userData: secret(longText), publicKeyOpenssh: `ssh-ed25519 ${key}` }, []],
])("the secrets of a state include %s", (_what, outputs, expected) => {
  expect(found(outputs)).toEqual(expected);
});

test("passwords and private keys are the secrets of the providers random and tls", () => {
  const line = "MHcCAQEEIB0x1y2z3a4b5c6d7e8f9gAoGCCqGSM49";
  const resources = [
    { type: "random:index/randomPassword:RandomPassword", outputs: { result: secret("a-password-1") } },
    {
      type: "tls:index/privateKey:PrivateKey",
      outputs: { privateKeyPem: secret(`-----BEGIN EC PRIVATE KEY-----\n${line}\n-----END\n`) },
    },
    { type: "pulumi-nodejs:dynamic:Resource", outputs: { user: secret("told-to-docker") } },
  ];
  expect(madeSecretsIn({ deployment: { resources } })).toEqual(["a-password-1", line]);
});

test("a secret in a log fails the search", () => {
  expect(() => expectNoSecret(["hunter2hunter2"], { journal: "password=hunter2hunter2" })).toThrow("journal");
  expectNoSecret(["hunter2hunter2"], { journal: "password=***" });
});

test("the command line of a process that started and ended meanwhile is found", async () => {
  const [, lines] = await commandLinesDuring(async () => {
    const child = spawn("sh", ["-c", "read x", "planted"], { stdio: ["pipe", "ignore", "ignore"] });
    let tries = 0;
    const searched = () => {
      // The search looks every 250 ms, and its timer is due before this one.
      if (++tries < 3) throw new Error("not yet");
    };
    await until("the search sees all processes", searched, { everyMs: 300 });
    child.stdin.end();
    await once(child, "exit");
  });
  expect(lines.filter((line) => line.includes("planted"))).not.toEqual([]);
});
