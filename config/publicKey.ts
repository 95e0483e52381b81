/** Public keys as OpenSSH writes them. */
import { text } from "./values";

/** A part of a key's blob: a text of exactly these bytes, or one whose length tells whether it is whole. */
type Part = string | ((bytes: Buffer) => boolean);

const ofLength =
  (length: number): Part =>
  (bytes) =>
    bytes.length === length;
/** A positive number without more leading zeros than its sign needs (RFC 4251, section 5). */
const number = (bytes: Buffer): boolean => {
  const [first = 0, second = 0] = bytes;
  return bytes.length > 0 && first < 0x80 && (first > 0 || second >= 0x80);
};
/** OpenSSH takes no RSA key of less than 1024 bits (its `RequiredRSASize`), and reads none of more than 16384. */
const modulus: Part = (bytes) => number(bytes) && bytes.length >= 128 && bytes.length <= 2049;
/** A point that is not compressed: 4, then two coordinates (RFC 5656, section 3.1). */
const point =
  (coordinate: number): Part =>
  (bytes) =>
    bytes.length === 1 + 2 * coordinate && bytes[0] === 4;
const application: Part = (bytes) => bytes.length > 0;

/** What follows the type in a key's blob: RFC 4253 (rsa), 5656 (ecdsa), 8709 (ed25519), OpenSSH's PROTOCOL.u2f (sk-). */
const partsOf: Readonly<Record<string, readonly Part[]>> = {
  "ssh-ed25519": [ofLength(32)],
  "ssh-rsa": [number, modulus],
  "ecdsa-sha2-nistp256": ["nistp256", point(32)],
  "ecdsa-sha2-nistp384": ["nistp384", point(48)],
  "ecdsa-sha2-nistp521": ["nistp521", point(66)],
  "sk-ssh-ed25519@openssh.com": [ofLength(32), application],
  "sk-ecdsa-sha2-nistp256@openssh.com": ["nistp256", point(32), application],
};

/** One line: type, base64 of a blob that names the type again and holds a whole key, and a comment or none. */
export const publicKey = text((value) => {
  const [, type = "", blob = ""] =
    /^([a-z0-9@.-]+) ([A-Za-z0-9+/]+={0,2})(?: [^\p{Control}\p{Surrogate}]*)?$/u.exec(value) ?? [];
  return (
    Object.hasOwn(partsOf, type) && isWhole(Buffer.from(blob, "base64"), [type, ...(partsOf[type] ?? [])])
  );
}, "a whole public key on one line, such as ssh-ed25519 AAAA…");

/** Every part is there, each with its length before it, and nothing else is. */
function isWhole(blob: Buffer, parts: readonly Part[]): boolean {
  let at = 0;
  for (const part of parts) {
    if (at + 4 > blob.length) return false;
    const end = at + 4 + blob.readUInt32BE(at);
    if (end > blob.length) return false;
    const bytes = blob.subarray(at + 4, end);
    if (typeof part === "string" ? bytes.toString("latin1") !== part : !part(bytes)) return false;
    at = end;
  }
  return at === blob.length;
}
