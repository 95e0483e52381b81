import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { must } from "../../../lab/exec";
import { commandLinesDuring, lookerAtNew, madeSecretsIn, secretTextsIn } from "../../support/secrets";

const secret = (value: unknown) => ({
  "4dabf18193072939515e22adb298388d": "x",
  plaintext: JSON.stringify(value),
});

/** What is found in a state with one resource of these outputs. */
const found = (outputs: object): string[] => secretTextsIn({ deployment: { resources: [{ outputs }] } });

test("secrets are found as they stand, in objects and lists, and line by line", () => {
  expect(found({ password: secret("0123456789") })).toEqual(["0123456789"]);
  expect(found({ files: { "/key": { content: secret("-----BEGIN\nAAAAAAAAAAAAAAAA\nshort\n") } } })).toEqual([
    "AAAAAAAAAAAAAAAA",
  ]);
  expect(found({ all: secret({ admin: "admin-password", list: ["reader-password"] }) })).toEqual([
    "admin-password",
    "reader-password",
  ]);
  expect(found({ nodes: secret([{ key: secret("secret-in-a-secret") }]) })).toEqual(["secret-in-a-secret"]);
});

test("of long ones what looks like a key, and nothing of what is public", () => {
  const key = "AAAAC3NzaC1lZDI1NTE5AAAAIHprivate0";
  const text = `${"the host is called coreos1\n".repeat(30)}${key}\n`;
  expect(found({ userData: secret(text) })).toEqual([key]);
  expect(found({ userData: secret(text), publicKeyOpenssh: `ssh-ed25519 ${key}` })).toEqual([]);
});

test("passwords and keys are those of what is made of chance, private keys line by line", () => {
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

test("a new process is looked at several times, as it is its parent's copy at first, and then no more", async () => {
  const looked: string[] = [];
  const look = lookerAtNew((pid) => looked.push(pid));
  const child = spawn("sleep", ["30"]);
  try {
    const looks = Array.from({ length: 8 }, () => {
      looked.length = 0;
      look();
      return looked.includes(String(child.pid));
    });
    expect(looks).toEqual([true, true, true, true, true, false, false, false]);
  } finally {
    child.kill();
    await once(child, "close");
  }
});

test("command lines of processes that are over when the work is are written down", async () => {
  const [, lines] = await commandLinesDuring(() =>
    // Long enough for a machine that stands still for a second.
    must("sh", ["-c", "for at in 1 2 3; do sleep 3.00$at & done; wait"]),
  );
  expect(lines.map((line) => line.trim())).toEqual(
    expect.arrayContaining(["sleep 3.001", "sleep 3.002", "sleep 3.003"]),
  );
});
