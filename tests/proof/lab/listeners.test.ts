/** docs/security.md lists every port of a node. All open TCP ports are in the list by tests/lab/story.test.ts. */
import { beforeAll, expect, test } from "vitest";
import type { Host } from "../../../lab/instance";
import {
  documented,
  everyPort,
  linkLocal,
  openDatagramPorts,
  openPorts,
  refusingAtOnce,
  withLinkLocal,
} from "../../support/listeners";
import { TestLab } from "../../support/testLab";

const managers = ["coreos1", "coreos2", "coreos3"];

const listeners = (node: string): string[] => documented(managers.includes(node));

const ascending = (ports: readonly number[]): number[] => [...ports].sort((one, other) => one - other);

const portsOf = (node: string, protocol: "tcp" | "udp"): number[] =>
  ascending(
    listeners(node)
      .filter((one) => one.endsWith(`/${protocol}`))
      .map((one) => Number.parseInt(one, 10)),
  );

let lab: TestLab;
let client: Host;

beforeAll(async () => {
  lab = await TestLab.standing();
  client = lab.host("client1");
});

/** The ports that a client finds open at an address, of all there are. */
const foundAt = async (address: string, scan: typeof openPorts): Promise<number[]> =>
  ascending((await scan(client, { addresses: [address], ports: everyPort })).map(({ port }) => port));

test("every listener of a node is in the list", async () => {
  expect(listeners("coreos1")).toContain("2377/tcp");
  for (const { name } of lab.nodes) {
    const listed = (await lab.mustRoot(name, "ss -H -l -n -t -u")).trim().split("\n");
    const reachable = listed.flatMap((line) => {
      const [protocol = "", , , , local = ""] = line.split(/\s+/);
      const port = local.slice(local.lastIndexOf(":") + 1);
      return /^(127\.|\[::1\])/.test(local) ? [] : [`${port}/${protocol}`];
    });
    expect(listeners(name), name).toEqual(expect.arrayContaining(reachable));
  }
});

test("every listed TCP port is open", async () => {
  for (const { name, address } of lab.nodes) {
    const ports = portsOf(name, "tcp");
    const open = await openPorts(client, { addresses: [address], ports });
    expect(ascending(open.map(({ port }) => port)), name).toEqual(ports);
  }
});

test("the open UDP ports are those in the list", async () => {
  await refusingAtOnce(lab.nodes, async () => {
    for (const { name, address } of lab.nodes) {
      expect(await foundAt(address, openDatagramPorts), name).toEqual(portsOf(name, "udp"));
    }
  });
});

test("the open ports of a node's IPv6 link-local address and of the VIP are in the list", async () => {
  const shared = await foundAt(lab.instance.vip, openPorts);
  expect(portsOf("coreos1", "tcp")).toEqual(expect.arrayContaining(shared));
  await withLinkLocal(client, () =>
    refusingAtOnce(lab.nodes, async () => {
      for (const host of lab.nodes) {
        const address = `${await linkLocal(host)}%eth0`;
        expect(address, host.name).toMatch(/^fe80::/);
        const tcp = await foundAt(address, openPorts);
        expect(portsOf(host.name, "tcp"), host.name).toEqual(expect.arrayContaining(tcp));
        // A scan that reaches nothing finds nothing.
        expect(tcp, host.name).toEqual(expect.arrayContaining([22, 443]));
        const udp = await foundAt(address, openDatagramPorts);
        expect(portsOf(host.name, "udp"), host.name).toEqual(expect.arrayContaining(udp));
      }
    }),
  );
});

test("a client that routes a container's address through its node reaches no port of the container", async () => {
  const [node] = lab.nodes;
  if (node === undefined) throw new Error("the lab has no nodes");
  const inspect = `docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}' $(docker ps -q)`;
  const bridged = `docker network inspect docker_gwbridge --format '{{range .Containers}}{{.IPv4Address}} {{end}}'`;
  const said = await lab.mustRoot(node.name, `${inspect}; ${bridged}`);
  const addresses = [...new Set(said.match(/\d+\.\d+\.\d+\.\d+/g))];
  expect(addresses.some((one) => one.startsWith("10.20.1."))).toBe(true);
  expect(addresses.some((one) => one.startsWith("172."))).toBe(true);
  const routes = (verb: string): Promise<unknown> =>
    Promise.all(
      addresses.map((one) => lab.mustRoot("client1", `ip route ${verb} ${one}/32 via ${node.address}`)),
    );
  try {
    await routes("replace");
    const ports = [443, 5000, 5001, 8443, 9000, 9001];
    const found = await openPorts(client, { addresses, ports });
    // Docker before version 28 lets a route lead to a published port, which nginx has.
    expect(found.filter(({ port }) => port !== 8443)).toEqual([]);
  } finally {
    await routes("del").catch(() => undefined);
  }
});
