/** Public keys as OpenSSH writes them. */
import { text } from "./values";

/** One line: type, base64 of a blob that begins with the type's name again, and a comment that may be left out. */
export const publicKey = text((value) => {
  const [, type, blob] =
    /^((?:ssh|ecdsa|sk)-[a-z0-9@.-]+) ([A-Za-z0-9+/]+={0,2})(?: [^\p{Control}\p{Surrogate}]*)?$/u.exec(
      value,
    ) ?? [];
  return type !== undefined && blob !== undefined && namesType(Buffer.from(blob, "base64"), type);
}, "a public key on one line, such as ssh-ed25519 AAAA…");

/** As far as the blob goes: whether it holds all of a key is for SSH to say. */
function namesType(blob: Buffer, type: string): boolean {
  const name = Buffer.from(type);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(name.length);
  const wanted = Buffer.concat([length, name]);
  const shared = Math.min(blob.length, wanted.length);
  return shared >= length.length && blob.subarray(0, shared).equals(wanted.subarray(0, shared));
}
