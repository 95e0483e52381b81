/** The lab's stand-ins for the published plugins know what the program uses of these, and nothing else. */
import { beforeAll, describe, expect, test } from "vitest";
import { standIn as command } from "../../lab/plugins/command";
import { standIn as docker } from "../../lab/plugins/docker";
import {
  isObject,
  mistakesOf,
  type Properties,
  type Property,
  type Values,
} from "../../lab/plugins/properties";
import { standIn as random } from "../../lab/plugins/random";
import type { ResourceType } from "../../lab/plugins/standIn";
import { standIn as tls } from "../../lab/plugins/tls";
import { everythingConfig } from "../golden/everything";
import { cases } from "../proof/parity/cases";
import { dockerCases } from "../proof/parity/dockerCases";
import { plain, type Registered } from "../support/mocks";
import { rawStack } from "../support/stacks";
import { rawConfig } from "./parts";
import { program } from "./program";

const plugins = { command, docker, random, tls };
const types: Readonly<Record<string, ResourceType>> = Object.assign(
  {},
  ...Object.values(plugins).map((plugin) => plugin.types),
);

/** Resources of published plugins, and providers, that the program registers on machines, guests and running hosts. */
const used: Registered[] = [];
const providers: Registered[] = [];

beforeAll(async () => {
  const { images } = rawConfig();
  for (const raw of [everythingConfig("flatcar"), rawStack("dev"), rawStack("existing")]) {
    const { resources } = await program({ ...raw, images });
    used.push(
      ...resources.filter(({ custom, type }) => custom && /^(command|docker|random|tls):/.test(type)),
    );
    providers.push(...resources.filter(({ type }) => type.startsWith("pulumi:providers:")));
  }
});

const inputsOf = ({ inputs }: Registered) => plain(inputs) as Record<string, unknown>;

/** Paths such as `taskSpec.containerSpec.image`, of lists without places. */
function pathsOf(properties: Properties, wanted: (one: Property) => boolean = () => true, at = ""): string[] {
  return Object.entries(properties).flatMap(([key, property]) => {
    if (typeof property.kind === "object") return pathsOf(property.kind, wanted, `${at}${key}.`);
    return wanted(property) ? [at + key] : [];
  });
}

/** The paths at which inputs have a value. */
function pathsIn(inputs: unknown, properties: Properties, at = ""): string[] {
  if (Array.isArray(inputs)) return inputs.flatMap((one) => pathsIn(one, properties, at));
  return Object.entries(isObject(inputs) ? inputs : {}).flatMap(([key, value]) => {
    const kind = properties[key]?.kind;
    return typeof kind === "object" ? pathsIn(value, kind, `${at}${key}.`) : [at + key];
  });
}

const unique = (names: readonly string[]): string[] => [...new Set(names)].sort();

describe("the stand-ins", () => {
  test("know every setting of a provider", () => {
    for (const [name, { settings = {} }] of Object.entries(plugins)) {
      const given = providers.filter(({ type }) => type === `pulumi:providers:${name}`).map(inputsOf);
      expect(unique(given.flatMap(Object.keys)), name).toEqual(unique(Object.keys(settings)));
    }
  });

  test("know every type", () => {
    expect(unique(used.map(({ type }) => type))).toEqual(unique(Object.keys(types)));
  });

  test("accept all inputs", () => {
    for (const one of used) {
      expect(mistakesOf(types[one.type]?.properties ?? {}, inputsOf(one)), one.name).toEqual([]);
    }
  });

  test.each(Object.entries(types))("know every property of %s", (type, { properties }) => {
    const inputs = used.filter((one) => one.type === type).map(inputsOf);
    expect(unique(pathsIn(inputs, properties))).toEqual(unique(pathsOf(properties)));
  });

  /** Whether it has another value to take, if only none. */
  const canChange = ({ oneOf, optional }: Property): boolean => oneOf?.length !== 1 || optional === true;

  test.each(Object.entries(types))("have a row of parity for each property of %s", (type, { properties }) => {
    const ofType = [...cases, ...dockerCases].filter((one) => one.type === type);
    const changed = ofType.flatMap(({ changes }) => Object.keys(changes));
    expect(pathsOf(properties, canChange).filter((path) => !changed.includes(path))).toEqual([]);
  });

  const network = { name: "services", driver: "overlay" };
  const lacks = /does not have this property/;

  test.each<[string, string, Values, string, RegExp]>([
    ["another property", "random:index/randomId:RandomId", { byteLength: 8, prefix: "x" }, "prefix", lacks],
    [
      "another property in a list",
      "docker:index/network:Network",
      { ...network, ipamConfigs: [{ ipRange: "10.0.0.0/25" }] },
      "ipamConfigs[0].ipRange",
      lacks,
    ],
    [
      "another value",
      "docker:index/network:Network",
      { ...network, driver: "bridge" },
      "driver",
      /^value must be one of: overlay, got: "bridge"$/,
    ],
    ["no value", "random:index/randomId:RandomId", {}, "byteLength", /^Missing required property/],
    [
      "another type",
      "random:index/randomId:RandomId",
      { byteLength: "8" },
      "byteLength",
      /a number, found: a string/,
    ],
    [
      "a secret that is no base64, without its text",
      "docker:index/secret:Secret",
      { data: "hush!", labels: [] },
      "data",
      /^value must match (?!.*hush)/,
    ],
  ])("refuse %s", (_what, type, inputs, property, reason) => {
    const found = mistakesOf(types[type]?.properties ?? {}, inputs);
    expect(found).toEqual([{ property, reason: expect.stringMatching(reason) }]);
  });
});
