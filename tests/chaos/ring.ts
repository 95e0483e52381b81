/** Which registry the front asks for a repository, so that each one's answers can be asked for. */
import { crc32 } from "node:zlib";

/** Of each server, as nginx has it for `hash … consistent`. */
const POINTS = 160;

interface Point {
  readonly at: number;
  readonly server: string;
}

/** A server's places on the ring: each is the checksum of its name and of the place before. */
function pointsOf(server: string): Point[] {
  const [host, port] = server.split(":");
  const base = crc32(`${host}\0${port}`);
  const before = Buffer.alloc(4);
  return Array.from({ length: POINTS }, () => {
    const at = crc32(before, base);
    before.writeUInt32LE(at);
    return { at, server };
  });
}

/** The server of a key: the first on the ring from the key's own place on. @param servers as `HOST:PORT` */
export function serverFor(key: string, servers: readonly string[]): string {
  const points = servers.flatMap(pointsOf).sort((one, other) => one.at - other.at);
  const place = crc32(key);
  return (points.find(({ at }) => at >= place) ?? points[0])?.server ?? "";
}

const registryOn = (node: string): string => `registry-${node}:5000`;

/** A repository for each node, which the front asks that node's registry for as long as it is there. */
export function repositoriesOn(nodes: readonly string[]): Map<string, string> {
  const found = new Map<string, string>();
  for (let number = 0; found.size < nodes.length && number < 1000; number++) {
    const repository = `chaos/probed-${number}`;
    const server = serverFor(repository, nodes.map(registryOn));
    const node = nodes.find((name) => registryOn(name) === server);
    if (node !== undefined && !found.has(node)) found.set(node, repository);
  }
  return found;
}
