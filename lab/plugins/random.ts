import { randomBytes, randomInt } from "node:crypto";
import { hashSync } from "bcryptjs";
import { withDefaults, type Properties } from "./properties";
import { changedInputs, type ResourceType, type StandIn } from "./standIn";
import { UNKNOWN, type Values } from "./values";

const lower = "abcdefghijklmnopqrstuvwxyz";
const upper = lower.toUpperCase();
const digits = "0123456789";
const specials = "!@#$%&*()-_=+[]{}<>:?";

/** What the published plugin records of choices that the program does not make. */
const passwordChoices = {
  lower: true,
  upper: true,
  number: true,
  numeric: true,
  minLower: 0,
  minUpper: 0,
  minNumeric: 0,
  minSpecial: 0,
};

const passwordProperties: Properties = {
  length: { kind: "number", required: true, replaces: true, minimum: 1 },
  special: { kind: "boolean", replaces: true, default: true },
};

const idProperties: Properties = {
  byteLength: { kind: "number", required: true, replaces: true, minimum: 1 },
};

const randomPassword: ResourceType = {
  properties: passwordProperties,
  secretOutputs: ["result", "bcryptHash"],
  plan: (inputs) => ({ ...recorded(inputs), id: UNKNOWN, result: UNKNOWN, bcryptHash: UNKNOWN }),
  create: (inputs) => {
    const outputs = recorded(inputs);
    const letters = lower + upper + digits + (outputs.special ? specials : "");
    const pick = (): string => letters.charAt(randomInt(letters.length));
    const result = Array.from({ length: Number(inputs.length) }, pick).join("");
    // bcrypt reads no further than 72 bytes; 2a and 2b are the same for passwords this short.
    const bcryptHash = hashSync(result.slice(0, 72), 10).replace(/^\$2b\$/, "$2a$");
    const made = { id: "none", result, bcryptHash };
    return Promise.resolve({
      id: "none",
      outputs: { ...outputs, ...made, __meta: '{"schema_version":"3"}' },
    });
  },
  diff: ({ outputs }, inputs) => {
    const known = Object.fromEntries(Object.keys(passwordProperties).map((key) => [key, outputs[key]]));
    return changedInputs(passwordProperties, known, withDefaults(passwordProperties, inputs));
  },
};

function recorded(inputs: Values): Values {
  return { ...passwordChoices, ...withDefaults(passwordProperties, inputs) };
}

const randomId: ResourceType = {
  properties: idProperties,
  plan: (inputs) => ({
    ...inputs,
    ...Object.fromEntries(["id", "hex", "dec", "b64Std", "b64Url"].map((key) => [key, UNKNOWN])),
  }),
  create: (inputs) => {
    const bytes = randomBytes(Number(inputs.byteLength));
    const id = bytes.toString("base64url");
    const hex = bytes.toString("hex");
    const texts = {
      id,
      hex,
      dec: BigInt(`0x${hex}`).toString(),
      b64Std: bytes.toString("base64"),
      b64Url: id,
    };
    return Promise.resolve({ id, outputs: { ...inputs, ...texts } });
  },
  diff: (state, inputs) => changedInputs(idProperties, { byteLength: state.outputs.byteLength }, inputs),
};

/** In place of the plugin `random`: passwords and ids. */
export const random: StandIn = {
  name: "random",
  settings: {},
  types: {
    "random:index/randomPassword:RandomPassword": randomPassword,
    "random:index/randomId:RandomId": randomId,
  },
};
