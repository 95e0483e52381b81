import { createHash } from "node:crypto";
import { closeConnections, preflight, swarmMember } from "@moorage/hosts";
import { afterAll, beforeAll, expect, test } from "vitest";
import { withPair, type Machine, type Pair } from "../../../lab/vm/machines";
import { ESP, Wire } from "../../../lab/vm/wire";
import { secondsSince } from "../../../toolchain/run";
import { onMachine, Registry } from "./registry";
import { networkFiles, Stack, vlan, vlanAddress } from "./stack";

const MIB = 2 ** 20;
const payloadMib = 64;
const anHour = 3600;
const VXLAN = 4789;
/** Docker's name for the MTU under an overlay network. */
const mtuOption = "com.docker.network.driver.mtu";
const GENEROUS_MS = 600_000;

/** Bytes that nothing compresses, and of which any few are found nowhere else. */
const payload = Buffer.concat(
  Array.from({ length: (payloadMib * MIB) / 64 }, (_, at) =>
    createHash("sha512").update(`moorage ${at}`).digest(),
  ),
);

let stack: Stack;
let pair: Pair;
let manager: Machine;
let worker: Machine;
let registry: Registry;
let done = (): void => undefined;
let running: Promise<void>;

beforeAll(async () => {
  // Where the run is killed its workers would go on, and the machines with them.
  process.once("disconnect", () => process.kill(process.pid, "SIGKILL"));
  stack = await Stack.run();
  const start = Date.now();
  const ended = new Promise<void>((resolve) => (done = resolve));
  pair = await new Promise<Pair>((resolve, reject) => {
    running = withPair(
      [
        { name: "coreos1", files: networkFiles("coreos1") },
        { name: "coreos4", files: networkFiles("coreos4"), clockAhead: anHour, payload },
      ],
      (started) => {
        resolve(started);
        return ended;
      },
    );
    running.catch(reject);
  });
  [manager, worker] = pair.machines;
  say(`both machines answer after ${secondsSince(start)}`);
});

afterAll(async () => {
  closeConnections();
  done();
  await running?.catch(() => undefined);
});

const say = (line: string): void => console.error(line);

const digestOf = (bytes: Buffer): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

const connections = () => Object.fromEntries(pair.machines.map(({ name, connection }) => [name, connection]));

test("both run Debian's own kernel, with a VLAN by the units that the program renders", async () => {
  for (const { connection } of pair.machines) {
    expect(await onMachine(connection, ["uname", "-r"])).toMatch(/^\d+\.\d+\.\S*amd64$/);
    const shown = await onMachine(connection, ["ip", "-d", "-j", "address", "show", "dev", vlan.name]);
    expect(JSON.parse(shown)).toMatchObject([
      {
        link: "eth1",
        mtu: vlan.mtu,
        linkinfo: { info_kind: "vlan", info_data: { id: vlan.id } },
        addr_info: expect.arrayContaining([
          expect.objectContaining({ local: vlanAddress(connection.node), prefixlen: 24 }),
        ]),
      },
    ]);
  }
  await onMachine(manager.connection, ["ping", "-c", "1", "-W", "10", vlanAddress(worker.name)]);
});

test("the preflight names the one whose clock is an hour ahead, and nothing else", async () => {
  const looked = preflight.create(stack.preflight(connections()));
  const message = await looked.then(
    () => "nothing found",
    (error: Error) => error.message,
  );
  expect(message).toMatch(
    // Less what the emulator took to start.
    /^preflight found 1 problem; nothing was touched:\n {2}coreos4: its clock is 3[56]\d\d\.\d s ahead of the operator's/,
  );
});

test("with its clock set right the preflight finds nothing", async () => {
  await onMachine(worker.connection, ["date", "-u", "-s", `@${Math.round(Date.now() / 1000)}`], {
    sudo: true,
  });
  const { outs } = await preflight.create(stack.preflight(connections()));
  expect(outs.findings).toEqual({
    coreos1: expect.stringContaining("eth1 MTU 1500"),
    coreos4: expect.stringContaining("eth1 MTU 1500"),
  });
});

test(
  "they form the program's Swarm, with its overlay network and one that leaves the MTU to Docker",
  async () => {
    for (const { connection } of pair.machines) {
      await swarmMember.create(stack.member(connection, manager.connection));
    }
    const network = stack.network();
    expect(network.options).toMatchObject({ [mtuOption]: String(vlan.mtu), encrypted: "" });
    registry = await Registry.start(manager.connection, worker.connection, network);
  },
  GENEROUS_MS,
);

test(
  `a push of ${payloadMib} MiB over the encrypted overlay arrives as it was`,
  async () => {
    const digest = digestOf(payload);
    const before = Wire.now(pair.wire);
    const start = Date.now();
    await registry.push("registry", digest, payloadMib);
    say(`${payloadMib} MiB pushed in ${secondsSince(start)}`);
    expect(await registry.digestOfStored(digest)).toBe(digest);
    const wire = Wire.since(pair.wire, before);
    const esp = wire.packets.filter(({ protocol }) => protocol === ESP);
    expect(new Set(esp.map((packet) => packet.vlan))).toEqual(new Set([vlan.id]));
    expect(esp.reduce((sum, { length }) => sum + length, 0)).toBeGreaterThan(payloadMib * MIB);
    expect(wire.packets.filter(({ destinationPort }) => destinationPort === VXLAN)).toEqual([]);
    expect(wire.holds("/v2/demo/payload")).toBe(false);
    for (const at of [0, 31, 63]) expect(wire.holds(payload.subarray(at * MIB, at * MIB + 32))).toBe(false);
    // As large as fits, and whole.
    expect(wire.packets.filter(({ fragment }) => fragment)).toEqual([]);
    const largest = esp.reduce((most, { length }) => Math.max(most, length), 0);
    expect(largest).toBeLessThanOrEqual(vlan.mtu);
    expect(largest).toBeGreaterThan(vlan.mtu - 16);
  },
  GENEROUS_MS,
);

test("the wire would show in clear what goes over it in clear", async () => {
  const before = Wire.now(pair.wire);
  await registry.lookInClear(vlanAddress(manager.name));
  expect(Wire.since(pair.wire, before).holds("GET /v2/")).toBe(true);
});

test(
  "with the MTU that Docker takes without being told, the same packets come in pieces",
  async () => {
    const before = Wire.now(pair.wire);
    await registry.push("registry-untold", digestOf(payload.subarray(0, MIB)), 1);
    const pieces = Wire.since(pair.wire, before).packets.filter(({ fragment }) => fragment);
    expect(pieces.length).toBeGreaterThan(MIB / 1500);
    expect(new Set(pieces.map(({ protocol }) => protocol))).toEqual(new Set([ESP]));
  },
  GENEROUS_MS,
);
