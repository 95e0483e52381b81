/** Every renderer accepts what the configuration accepts: one that refuses would do so in the middle of an update. */
import {
  formatsOf,
  installHashOf,
  keepalivedFiles,
  minioCommand,
  proxiesFiles,
  renderRegistryConfig,
  renderUserData,
  type Distribution,
} from "@moorage/render";
import fc from "fast-check";
import { expect, test } from "vitest";
import { baseFiles, userDataModel, usersWithPassword } from "../../../config/models";
import { ConfigError } from "../../../config/problem";
import { parseStackConfig, type StackConfig } from "../../../config/stack";
import { articleConfig, everythingConfig, publicKeys } from "../../golden/everything";
import type { RawConfig } from "../../support/stacks";
import { set } from "./mistakes";

const stacks: readonly (readonly [Distribution, RawConfig])[] = [
  ["flatcar", withEveryKey(everythingConfig("flatcar"))],
  ["fedora-coreos", withEveryKey(everythingConfig("fedora-coreos"))],
  ["coreos", withEveryKey(articleConfig())],
];

/** Keys that those configurations leave out, so that every key with a text is there. */
function withEveryKey(raw: RawConfig): RawConfig {
  const settings = {
    "nodes.coreos1.advertiseAddr": "10.0.2.11",
    "nodes.coreos1.dataPathAddr": "10.30.0.11",
    "nodes.coreos1.interface": "eno1",
    "nodes.coreos1.erasableDisk": "S1",
    "nodes.coreos1.wipeDataDiskSerial": "S2",
    "nodes.coreos1.adoptDiskSerial": "S2",
    "os.image": { path: "image.raw", sha512: "a".repeat(128) },
    "nodes.coreos1.ssh.user": "core",
    "nodes.coreos1.ssh.hostKey": publicKeys.usera,
    "nodes.coreos1.ssh.identityFile": "key",
    "os.users.userc": { groups: ["kvm"], sshAuthorizedKeys: [publicKeys.usera] },
    "network.overlay": { subnet: "10.20.1.0/24", encrypted: false },
    "network.searchDomains": ["lab.domain.com"],
    "swarm.logMaxSize": "10m",
    storage: { bucket: "registry", mountPoint: "/srv/data" },
    "registry.users": {
      admin: { rights: [{ repositories: "*", access: "write" }] },
      ci: { rights: [{ repositories: "a/*", access: "read" }] },
    },
    "edge.alternativeNames": ["other.domain.com"],
    "images.nginx": { archive: "nginx.tar" },
  };
  for (const [path, value] of Object.entries(settings)) set(raw, path.split("."), value);
  if ((raw.os as { distribution: string }).distribution === "coreos")
    set(raw, ["os", "containerLinux", "flannel", "interface"], "eth0");
  return raw;
}

/** Everything that a node, the first alone, or a service gets of the configuration; keys are made up. */
function renderAll(config: StackConfig): void {
  const { edge, nodes, os, registry, storage } = config;
  const passwordHashes = Object.fromEntries(usersWithPassword(config).map((user) => [user, "$6$a$b"]));
  const names = Object.keys(nodes);
  const addresses = Object.values(nodes).map(({ address }) => address);
  const [name = ""] = names;
  const { interface: device, address } = nodes[name] ?? expect.unreachable();
  const model = userDataModel(config, name, {
    hostKey: { privateKey: "private", publicKey: "public" },
    authorizedKey: os.sshAuthorizedKey ?? "ssh-ed25519 AAAA",
    passwordHashes,
  });
  const api = { ca: "ca", certificate: "certificate", key: "key" };
  const files = baseFiles(config, name, { caCertificate: "ca", api, passwordHashes });
  for (const format of formatsOf[os.distribution])
    renderUserData(model, { format, installHash: installHashOf(model), files });
  const { vip, port, virtualRouterId, proxyTimeoutSeconds, limits } = edge;
  const router = { vip, port, virtualRouterId, priority: 1, image: "image" };
  const peers = addresses.filter((one) => one !== address);
  keepalivedFiles({ node: name, interface: device, address, peers, ...router });
  const keys = { region: "r", accessKey: "a", secretKey: "s", httpSecret: "h" };
  const endpoint = `http://haproxy-${name}:9000`;
  renderRegistryConfig({ ...keys, bucket: storage.bucket, endpoint, logLevel: registry.logLevel });
  const rightsOf = ({ rights }: (typeof registry.users)[string]) =>
    rights.map(({ repositories, access }) => ({ prefix: repositories.replace(/\*$/, ""), access }));
  const registries = names.map((one) => `registry-${one}`);
  const minio = names.map((one) => `minio-${one}`);
  minioCommand({ names: minio });
  proxiesFiles({
    haproxy: { service: `haproxy-${name}`, registries, minio },
    nginx: {
      service: "nginx",
      haproxies: names.map((one) => `haproxy-${one}`),
      users: Object.entries(registry.users).map(([user, one]) => ({ name: user, rights: rightsOf(one) })),
      htpasswd: "",
      certificate: "",
      key: "",
      neighbours: addresses,
      proxyTimeoutSeconds,
      cacheGibibytes: edge.cache.size,
      limits,
    },
    passwordGraceMinutes: registry.passwordGraceMinutes,
  });
}

interface Place {
  readonly path: readonly string[];
  /** The text there, or a key. */
  readonly key: boolean;
}

/** Wherever a text stands: values, and keys of the stack's own choice or not. */
function placesIn(value: unknown, path: readonly string[] = []): Place[] {
  if (typeof value === "string") return [{ path, key: false }];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [
    ...(Array.isArray(value) || path.length === 0 ? [] : [{ path: [...path, key], key: true }]),
    ...placesIn(inner, [...path, key]),
  ]);
}

function at(raw: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((inner, key) => (inner as Record<string, unknown>)[key], raw);
}

function changed(raw: RawConfig, { path, key }: Place, text: string): RawConfig {
  const copy = structuredClone(raw);
  if (!key) {
    set(copy, path, text);
    return copy;
  }
  const parent = path.slice(0, -1);
  const entries = Object.entries(at(copy, parent) as object).map(
    ([name, inner]) => [name === path.at(-1) ? text : name, inner as unknown] as const,
  );
  set(copy, parent, Object.fromEntries(entries));
  return copy;
}

const pieces = [..." \n\r\t\0\"'\\;$%#{}[]/,=:@-*~`ä\u2028\u007f", "", "..", "\ud800"];
const words = [..."__proto__ constructor toString -- 0 1e99 null 127.0.0.1 10.0.2.255 ::1".split(" "), "a b"];

/** Odd in themselves, or the text that was there with something odd at either end or within. */
function oddText(before: string): fc.Arbitrary<string> {
  const piece = fc.constantFrom(...pieces);
  return fc.oneof(
    piece,
    fc.string({ maxLength: 12 }),
    fc.string({ unit: "binary", maxLength: 6 }),
    fc.constantFrom(...words, "a".repeat(300)),
    fc
      .tuple(piece, fc.nat(before.length))
      .map(([odd, cut]) => before.slice(0, cut) + odd + before.slice(cut)),
    fc.tuple(piece, piece).map(([head, tail]) => head + before + tail),
  );
}

/** Each path once, in the first stack that has it, and of the nodes those of the first. */
const everywhere = [
  ...new Map(
    stacks
      .flatMap(([distribution, raw]) => placesIn(raw).map((place) => ({ distribution, raw, place })))
      .filter(({ place: { path } }) => !/^nodes\.coreos[2-9]\./.test(path.join(".")))
      .map((one) => [JSON.stringify(one.place), { ...one, before: textAt(one.raw, one.place) }] as const)
      .reverse(),
  ).values(),
];

function textAt(raw: RawConfig, { path, key }: Place): string {
  return String(key ? path.at(-1) : at(raw, path));
}

/** Whether it renders; a mistake that is answered is as good. */
function isTaken(raw: RawConfig): boolean {
  let config: StackConfig;
  try {
    config = parseStackConfig(raw);
  } catch (error) {
    if (error instanceof ConfigError) return false;
    throw error;
  }
  renderAll(config);
  return true;
}

test.each(stacks)("%s: the configuration that is changed is right", (_distribution, raw) => {
  expect(isTaken(raw)).toBe(true);
});

test.each(['"', "\n"])("%j at the end of any text is a mistake or renders", (odd) => {
  const thrown = everywhere.flatMap(({ distribution, raw, place, before }) => {
    try {
      isTaken(changed(raw, place, before + odd));
      return [];
    } catch (error) {
      return [`${distribution}, ${place.path.join(".")}: ${String(error)}`];
    }
  });
  expect(thrown).toEqual([]);
});

test("any text, anywhere, is a mistake or renders", () => {
  const anyChange = fc
    .nat(everywhere.length - 1)
    .chain((index) => fc.tuple(fc.constant(index), oddText(everywhere[index]?.before ?? "")));
  const seen = new Set<boolean>();
  fc.assert(
    fc.property(anyChange, ([index, text]) => {
      const { raw, place } = everywhere[index] ?? expect.unreachable();
      seen.add(isTaken(changed(raw, place, text)));
    }),
    { numRuns: 300, seed: 1 },
  );
  expect(seen).toEqual(new Set([true, false]));
});
