import * as fs from "node:fs";

/** One IPv4 packet on the wire. */
export interface WirePacket {
  /** The VLAN it was sent in; absent where it carries no tag. */
  readonly vlan?: number;
  /** 6 is TCP, 17 UDP, 50 ESP. */
  readonly protocol: number;
  /** Bytes from the IP header on, as its header says. */
  readonly length: number;
  /** Whether it is a piece of a larger packet. */
  readonly fragment: boolean;
  /** Of UDP packets that are no later pieces. */
  readonly destinationPort?: number;
}

export const ESP = 50;

const FILE_HEADER = 24;
const RECORD_HEADER = 16;
const MAGIC = 0xa1b2c3d4;
const ETHERTYPE_VLAN = 0x8100;
const ETHERTYPE_IPV4 = 0x0800;
const UDP = 17;

/** What went over a wire that an emulator records as pcap, from a moment on. */
export class Wire {
  private constructor(
    readonly bytes: Buffer,
    readonly packets: readonly WirePacket[],
  ) {}

  /** A moment on the wire: what is recorded up to now. */
  static now(file: string): number {
    return fs.statSync(file).size;
  }

  /** Reads what was recorded since a moment. @param from of {@link Wire.now}; the beginning by default */
  static since(file: string, from = FILE_HEADER): Wire {
    const whole = fs.readFileSync(file);
    if (whole.length < FILE_HEADER || whole.readUInt32LE(0) !== MAGIC) {
      throw new Error(`${file} is no pcap file of this machine's byte order`);
    }
    const bytes = whole.subarray(Math.max(from, FILE_HEADER));
    return new Wire(bytes, packetsIn(bytes));
  }

  /** Whether these bytes went over it in clear, within one packet. */
  holds(bytes: Buffer | string): boolean {
    return this.bytes.includes(bytes);
  }
}

function packetsIn(bytes: Buffer): WirePacket[] {
  const packets: WirePacket[] = [];
  let at = 0;
  // The last record may still be half written.
  while (at + RECORD_HEADER <= bytes.length) {
    const end = at + RECORD_HEADER + bytes.readUInt32LE(at + 8);
    if (end > bytes.length) break;
    const packet = packetIn(bytes.subarray(at + RECORD_HEADER, end));
    if (packet !== undefined) packets.push(packet);
    at = end;
  }
  return packets;
}

function packetIn(frame: Buffer): WirePacket | undefined {
  if (frame.length < 18) return undefined;
  const tagged = frame.readUInt16BE(12) === ETHERTYPE_VLAN;
  const type = tagged ? 16 : 12;
  const packet = frame.subarray(type + 2);
  if (frame.readUInt16BE(type) !== ETHERTYPE_IPV4 || packet.length < 20) return undefined;
  const protocol = packet.readUInt8(9);
  const flags = packet.readUInt16BE(6);
  const offset = flags & 0x1fff;
  const header = (packet.readUInt8(0) & 0xf) * 4;
  return {
    ...(tagged && { vlan: frame.readUInt16BE(14) & 0xfff }),
    protocol,
    length: packet.readUInt16BE(2),
    fragment: offset !== 0 || (flags & 0x2000) !== 0,
    ...(protocol === UDP && offset === 0 && { destinationPort: packet.readUInt16BE(header + 2) }),
  };
}
