import { createPrivateKey, createPublicKey } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { execFileSync } from "node:child_process";
import { utils } from "ssh2";
import { expect, test } from "vitest";
import { standIn } from "../../../lab/plugins/tls";

async function keyOf(inputs: Record<string, string>): Promise<Record<string, string>> {
  const made = await standIn.types["tls:index/privateKey:PrivateKey"]?.create(inputs, {
    name: "key",
    settings: {},
  });
  return made as Record<string, string>;
}

const ed25519 = { algorithm: "ED25519" };
const ecdsa = { algorithm: "ECDSA", ecdsaCurve: "P256" };

test("an Ed25519 key is whole, whatever it begins with", async () => {
  // One in 256 begins with a zero, which ssh2 drops.
  for (let i = 0; i < 1500; i++) {
    const { privateKeyOpenssh = "", privateKeyPem = "", publicKeyPem } = await keyOf(ed25519);
    expect(utils.parseKey(privateKeyOpenssh)).not.toBeInstanceOf(Error);
    expect(createPublicKey(createPrivateKey(privateKeyPem)).export({ type: "spki", format: "pem" })).toBe(
      publicKeyPem,
    );
  }
});

test.each([ed25519, ecdsa])("ssh-keygen reads a key of %j", async (inputs) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-keys-"));
  try {
    for (let i = 0; i < 10; i++) {
      const made = await keyOf(inputs);
      const file = path.join(folder, String(i));
      fs.writeFileSync(file, made.privateKeyOpenssh ?? "", { mode: 0o600 });
      fs.writeFileSync(`${file}.pub`, made.publicKeyOpenssh ?? "");
      const read = execFileSync("ssh-keygen", ["-y", "-f", file], { encoding: "utf8" });
      expect(read.trim()).toBe(made.publicKeyOpenssh?.trim());
      const hashes = ["md5", "sha256"].map(
        (hash) =>
          execFileSync("ssh-keygen", ["-l", "-E", hash, "-f", `${file}.pub`], { encoding: "utf8" }).split(
            " ",
          )[1],
      );
      expect(hashes).toEqual([`MD5:${made.publicKeyFingerprintMd5}`, made.publicKeyFingerprintSha256]);
    }
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});

test("a key that would be on another curve is refused", async () => {
  await expect(async () => keyOf({ algorithm: "ECDSA" })).rejects.toThrow("ecdsaCurve");
});
