import { randomBytes, randomInt } from "node:crypto";
import { hashSync } from "bcryptjs";
import type { ResourceType, StandIn } from "./standIn";

const lower = "abcdefghijklmnopqrstuvwxyz";
const specials = "!@#$%&*()-_=+[]{}<>:?";

const randomPassword: ResourceType = {
  properties: {
    length: { kind: "number", replaces: true, minimum: 1 },
    special: { kind: "boolean", optional: true, replaces: true },
  },
  defaults: {
    ...{ special: true, lower: true, upper: true, number: true, numeric: true },
    ...{ minLower: 0, minUpper: 0, minNumeric: 0, minSpecial: 0, __meta: '{"schema_version":"3"}' },
  },
  made: ["id", "result", "bcryptHash"],
  create: ({ length, special = true }) => {
    const letters = lower + lower.toUpperCase() + "0123456789" + (special ? specials : "");
    const pick = (): string => letters.charAt(randomInt(letters.length));
    const result = Array.from({ length: Number(length) }, pick).join("");
    // bcrypt reads no further than 72 bytes; 2a and 2b are the same for passwords this short.
    const bcryptHash = hashSync(result.slice(0, 72), 10).replace(/^\$2b\$/, "$2a$");
    return { id: "none", result, bcryptHash };
  },
};

const randomId: ResourceType = {
  properties: { byteLength: { kind: "number", replaces: true } },
  made: ["id", "hex", "dec", "b64Std", "b64Url"],
  create: ({ byteLength }) => {
    const bytes = randomBytes(Number(byteLength));
    const [b64Url, hex] = [bytes.toString("base64url"), bytes.toString("hex")];
    return { id: b64Url, hex, dec: String(BigInt(`0x${hex}`)), b64Std: bytes.toString("base64"), b64Url };
  },
};

/** In place of the plugin `random`: passwords and ids. */
export const standIn: StandIn = {
  types: {
    "random:index/randomPassword:RandomPassword": randomPassword,
    "random:index/randomId:RandomId": randomId,
  },
};
