import * as fs from "node:fs";
import * as path from "node:path";
import { isDeepStrictEqual } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";
import { parseStackConfig } from "../../config/stack";
import { standIn as command } from "../../lab/plugins/command";
import { standIn as docker } from "../../lab/plugins/docker";
import { mistakesOf, type Properties, type Property, type Values } from "../../lab/plugins/properties";
import { standIn as random } from "../../lab/plugins/random";
import { standIn as tls } from "../../lab/plugins/tls";
import type { ResourceType } from "../../lab/plugins/standIn";
import { plain, type Recorder, type Registered } from "../support/mocks";
import { cases, changed, pathsByHand } from "../parity/cases";
import { dockerCases } from "../parity/dockerCases";
import { differing, pathsOf, valuesIn } from "../parity/paths";
import type { Plugin, Wire } from "../parity/plugin";
import { everySwitch, switches, valuesAt } from "./everySwitch";
import { program } from "./program";

/** Everything of published plugins that the program registers, whatever it is configured to do. */
const used: Registered[] = [];
const providers: Registered[] = [];
const types: Record<string, ResourceType> = {};

const stacks = everySwitch();

beforeAll(async () => {
  for (const raw of stacks) {
    const recorder = await program(raw);
    used.push(...published(recorder));
    providers.push(...recorder.resources.filter(({ type }) => type.startsWith("pulumi:providers:")));
  }
  Object.assign(types, command.types, docker.types, random.types, tls.types);
});

function published(recorder: Recorder): Registered[] {
  return recorder.resources.filter(
    ({ custom, type }) => custom && /^(command|docker|random|tls):/.test(type),
  );
}

let made = 0;
/** In the place of a published plugin, of which cases need what it makes: here, another text each time. */
const pretended = {
  check: (_type: string, inputs: Wire) => Promise.resolve({ inputs, failures: [] }),
  create: () => {
    const id = `made ${made++}`;
    return Promise.resolve({ id, outputs: { name: id, privateKeyPem: id, certPem: id, certRequestPem: id } });
  },
} as unknown as Plugin;

/** The properties of a type each of which some case changes, under its name, and nothing else. */
async function changedAlone(name: string, type: ResourceType): Promise<string[]> {
  const found: string[] = [];
  for (const one of [...cases, ...dockerCases].filter((other) => other.type === name)) {
    const inputs = await one.inputs(pretended);
    for (const [property, change] of Object.entries(one.changes)) {
      const paths = differing(type.properties, inputs, changed(inputs, await change(pretended)));
      if (isDeepStrictEqual(paths, [property])) found.push(property);
    }
  }
  return found;
}

/** Of what these make, nothing is anywhere but in the state: there is nothing that a hand could change. */
const inTheStateAlone = /^(command|random|tls):/;

/** The properties of a type that some case has changed by hand, or that Docker is seen to refuse to change. */
function changedByHand(name: string): string[] {
  return [...cases, ...dockerCases]
    .filter(({ type }) => type === name)
    .flatMap(({ byHand }) => Object.keys({ ...byHand?.changes, ...byHand?.refused }))
    .flatMap(pathsByHand);
}

/** Inputs in which one property has a value, wherever it lies. */
function inputsWith(properties: Properties, [key = "", ...inner]: readonly string[], value: unknown): Values {
  const property = properties[key];
  if (!property) throw new Error(`there is no property ${key}`);
  const one = typeof property.kind === "object" ? inputsWith(property.kind, inner, value) : value;
  return { [key]: property.many ? [one] : one };
}

/** Whether a property has another value to take, if only none. */
function canChange({ oneOf, optional }: Property): boolean {
  return oneOf?.length !== 1 || optional === true;
}

/** Settings of providers that the program gives, by plugin; the version is the SDK's. */
function settingsUsed(): Record<string, string[]> {
  const settings: Record<string, string[]> = {};
  for (const { type, inputs } of providers) {
    const name = type.split(":").at(-1) ?? "";
    settings[name] = [
      ...new Set([...(settings[name] ?? []), ...Object.keys(plain(inputs) as object)]),
    ].sort();
  }
  return settings;
}

describe("the stand-ins for the published plugins", () => {
  test("are the few files that they are meant to be", () => {
    const folder = path.join(__dirname, "..", "..", "lab", "plugins");
    const texts = fs.readdirSync(folder).map((name) => fs.readFileSync(path.join(folder, name), "utf8"));
    expect(texts.join("").split("\n").length - 1).toBeLessThan(1200);
  });

  test("are asked by a program that is told everything that it can be", () => {
    const configs = stacks.map((raw) => parseStackConfig(raw));
    const untaken = switches().flatMap(({ path, values }) => {
      const taken = configs.flatMap((config) => valuesAt(config, path));
      return values.filter((value) => !taken.includes(value)).map((value) => `${path}: ${String(value)}`);
    });
    expect(untaken).toEqual([]);
  });

  test("know every setting of a provider that the program gives, and no other", () => {
    const known = Object.entries({ command, docker, random, tls }).flatMap(([name, { settings }]) =>
      settings ? [[name, Object.keys(settings).sort()]] : [],
    );
    expect(settingsUsed()).toEqual(Object.fromEntries(known));
  });

  test("know every type that the program uses, and no other", () => {
    expect(Object.keys(types).sort()).toEqual([...new Set(used.map(({ type }) => type))].sort());
  });

  test("find nothing wrong with any inputs of the program", () => {
    for (const { type, name, inputs } of used) {
      const found = types[type];
      expect(found && mistakesOf(found.properties, plain(inputs) as Record<string, unknown>), name).toEqual(
        [],
      );
    }
  });

  test("know every property that the program uses, and no other", () => {
    for (const [type, found] of Object.entries(types)) {
      const paths = used
        .filter((one) => one.type === type)
        .flatMap((one) => Object.keys(valuesIn(found.properties, plain(one.inputs))));
      expect(pathsOf(found.properties).sort(), type).toEqual([...new Set(paths)].sort());
    }
  });

  test("have a case of parity for each property that can change, which changes that alone", async () => {
    for (const [name, type] of Object.entries(types)) {
      const covered = await changedAlone(name, type);
      const uncovered = pathsOf(type.properties, canChange).filter((path) => !covered.includes(path));
      expect(uncovered, name).toEqual([]);
    }
  });

  test("have a case of a change by hand for each property, or one of Docker's refusal", () => {
    for (const [name, type] of Object.entries(types)) {
      const wanted = inTheStateAlone.test(name) ? [] : pathsOf(type.properties);
      expect([...new Set(changedByHand(name))].sort(), name).toEqual(wanted.sort());
    }
  });

  test("refuse any other value, by name, of a property that has only one", () => {
    for (const [type, { properties }] of Object.entries(types)) {
      for (const path of pathsOf(properties, ({ oneOf }) => oneOf?.length === 1)) {
        const mistakes = mistakesOf(properties, inputsWith(properties, path.split("."), "another"));
        const named = mistakes.map((one) => ({ ...one, property: one.property.replaceAll("[0]", "") }));
        const reason = expect.stringMatching(/^value must be one of: \S+, got: "another"$/);
        expect(named, type).toContainEqual({ property: path, reason });
      }
    }
  });
});
