import { beforeAll, describe, expect, test } from "vitest";
import type { Host } from "../../lab/instance";
import {
  documented,
  everyPort,
  linkLocal,
  openDatagramPorts,
  openPorts,
  refusingAtOnce,
  withLinkLocal,
} from "../support/listeners";
import { TestLab } from "../support/testLab";

const managers = ["coreos1", "coreos2", "coreos3"];

const listeners = (node: string): string[] => documented(managers.includes(node));

const portsOf = (node: string, protocol: "tcp" | "udp"): number[] =>
  ascending(
    listeners(node)
      .filter((one) => one.endsWith(`/${protocol}`))
      .map((one) => Number.parseInt(one, 10)),
  );

const ascending = (ports: readonly number[]): number[] => [...ports].sort((one, other) => one - other);

let lab: TestLab;
let client: Host;

beforeAll(async () => {
  lab = await TestLab.standing();
  client = lab.host("client1");
});

type Trying = typeof openPorts;

/** What a client finds at an address of a node, among all ports that there are. */
const foundAt = async (address: string, trying: Trying): Promise<number[]> =>
  ascending((await trying(client, { addresses: [address], ports: everyPort })).map(({ port }) => port));

test("every listener of a node is in the table", async () => {
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

describe("what a client finds", () => {
  test("among all TCP ports of every node is in the table, and the other way round", async () => {
    for (const { name, address } of lab.nodes) {
      expect(await foundAt(address, openPorts), name).toEqual(portsOf(name, "tcp"));
    }
    const shared = await foundAt(lab.instance.vip, openPorts);
    expect(portsOf("coreos1", "tcp")).toEqual(expect.arrayContaining(shared));
  });

  test("among all UDP ports, answering or silent, is in the table, and the other way round", async () => {
    await refusingAtOnce(lab.nodes, async () => {
      for (const { name, address } of lab.nodes) {
        expect(await foundAt(address, openDatagramPorts), name).toEqual(portsOf(name, "udp"));
      }
    });
  });

  test("at the address of IPv6's that every node has on its link is in the table, too", async () => {
    await withLinkLocal(client, () =>
      refusingAtOnce(lab.nodes, async () => {
        for (const host of lab.nodes) {
          const address = `${await linkLocal(host)}%eth0`;
          expect(address, host.name).toMatch(/^fe80::/);
          const tcp = await foundAt(address, openPorts);
          expect(portsOf(host.name, "tcp"), host.name).toEqual(expect.arrayContaining(tcp));
          // As nothing would be found where nothing is reached.
          expect(tcp, host.name).toEqual(expect.arrayContaining([22, 443]));
          const udp = await foundAt(address, openDatagramPorts);
          expect(portsOf(host.name, "udp"), host.name).toEqual(expect.arrayContaining(udp));
        }
      }),
    );
  });

  test("in a container stays there for one that sets a route to it by way of its node", async () => {
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
      // Before version 28 Docker lets a route lead to a port that is published: to the front's.
      expect(found.filter(({ port }) => port !== 8443)).toEqual([]);
    } finally {
      await routes("del").catch(() => undefined);
    }
  });
});
