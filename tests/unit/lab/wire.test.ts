import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ESP, Wire } from "../../../lab/vm/wire";

let folder: string;
let file: string;

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-test-"));
  file = path.join(folder, "wire.pcap");
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4);
  fs.writeFileSync(file, header);
});

afterEach(() => fs.rmSync(folder, { recursive: true }));

interface Sent {
  readonly vlan?: number;
  readonly protocol: number;
  /** The more-fragments bit and the offset, as in the header. */
  readonly flags?: number;
  readonly payload: Buffer;
}

function record({ vlan, protocol, flags = 0, payload }: Sent): Buffer {
  const ip = Buffer.alloc(20);
  ip.writeUInt8(0x45);
  ip.writeUInt16BE(20 + payload.length, 2);
  ip.writeUInt16BE(flags, 6);
  ip.writeUInt8(protocol, 9);
  const tag = vlan === undefined ? [] : [0x81, 0x00, 0xe0 | (vlan >> 8), vlan & 0xff];
  const frame = Buffer.concat([Buffer.alloc(12), Buffer.from([...tag, 0x08, 0x00]), ip, payload]);
  const header = Buffer.alloc(16);
  header.writeUInt32LE(frame.length, 8);
  header.writeUInt32LE(frame.length, 12);
  return Buffer.concat([header, frame]);
}

const vxlan = (payload: string): Buffer =>
  Buffer.concat([Buffer.from([0x80, 0x00, 0x12, 0xb5, 0, 0, 0, 0]), Buffer.from(payload)]);

test("what is on the wire is told packet by packet, tagged or not", () => {
  fs.appendFileSync(file, record({ vlan: 3000, protocol: ESP, payload: Buffer.alloc(100) }));
  fs.appendFileSync(file, record({ protocol: 17, payload: vxlan("GET /v2/") }));
  expect(Wire.since(file).packets).toEqual([
    { vlan: 3000, protocol: ESP, length: 120, fragment: false },
    { protocol: 17, length: 36, fragment: false, destinationPort: 4789 },
  ]);
  expect(Wire.since(file).holds("GET /v2/")).toBe(true);
});

test("pieces of a packet are told, the first, those between and the last", () => {
  for (const flags of [0x2000, 0x2010, 0x0020, 0x4000]) {
    fs.appendFileSync(file, record({ vlan: 1, protocol: 17, flags, payload: vxlan("") }));
  }
  const pieces = Wire.since(file).packets;
  expect(pieces.map(({ fragment }) => fragment)).toEqual([true, true, true, false]);
  expect(pieces.map(({ destinationPort }) => destinationPort)).toEqual([4789, undefined, undefined, 4789]);
});

test("only what came since a moment counts, and a record that is half written does not", () => {
  fs.appendFileSync(file, record({ protocol: 17, payload: vxlan("before") }));
  const moment = Wire.now(file);
  const whole = record({ protocol: 17, payload: vxlan("after") });
  fs.appendFileSync(file, Buffer.concat([whole, whole.subarray(0, 30)]));
  const wire = Wire.since(file, moment);
  expect(wire.packets).toHaveLength(1);
  expect(wire.holds("before")).toBe(false);
});

test("another file is refused", () => {
  fs.writeFileSync(file, "no pcap, but long enough for one");
  expect(() => Wire.since(file)).toThrow(`${file} is no pcap file`);
});
