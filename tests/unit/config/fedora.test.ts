import { describe, expect, test } from "vitest";
import { mistakesWith, type Settings } from "./mistakes";

const fedora = (settings: Settings): string[] =>
  mistakesWith({ "os.distribution": "fedora-coreos", ...settings });

describe("what is written on Fedora CoreOS", () => {
  const at = (...paths: string[]): Settings => ({
    "os.files": Object.fromEntries(paths.map((path) => [path, { content: "" }])),
  });

  test("lies in /etc and /var, or where these lead", () => {
    const paths = [
      "/etc/own",
      "/var/own",
      "/opt/bin/own",
      "/usr/local/bin/own",
      "/home/usera/own",
      "/srv/own",
    ];
    expect(fedora({ ...at(...paths), "storage.mountPoint": "/srv/data" })).toEqual([]);
  });

  test("lies nowhere else, as its root is read-only", () => {
    expect(fedora({ ...at("/own", "/data/own", "/usr/bin/own"), "storage.mountPoint": "/data" })).toEqual([
      "os.files./own: / is read-only there; put it below /etc, /opt, /srv or /var",
      "os.files./data/own: / is read-only there; put it below /etc, /opt, /srv or /var",
      "os.files./usr/bin/own: /usr is read-only there; put it below /etc, /opt or /var",
      "storage.mountPoint: /data: / is read-only there; put it below /etc, /opt, /srv or /var",
    ]);
  });

  test("may lie anywhere on Flatcar, but for its /usr", () => {
    expect(mistakesWith({ ...at("/own", "/data/own"), "storage.mountPoint": "/data" })).toEqual([]);
  });
});

describe("metrics of default routes on Fedora CoreOS, which NetworkManager sets where nothing is said", () => {
  const route = (id: number, rest = {}) => ({
    ...{ id, address: `10.30.${id}.11/24`, gateway: `10.30.${id}.1` },
    ...rest,
  });
  const vlans = (all: Record<string, unknown>): Settings => ({ "nodes.coreos1.vlans": all });
  const nics = (all: Record<string, unknown>): Settings => ({ "nodes.coreos1.nics": all });
  const taken = (path: string, metric: number, by: string): string[] => [
    `nodes.coreos1.${path}.metric: ${metric}; another metric than that of the default route by ${by}`,
  ];
  const first = "eth0 (network.gateway)";

  test("are 100 of a card, by DHCP as well, and 400 of a VLAN", () => {
    expect(fedora(vlans({ va: route(7) }))).toEqual([]);
    expect(fedora(vlans({ va: route(7, { metric: 100 }) }))).toEqual(taken("vlans.va", 100, first));
    const byDhcp = nics({ eno2: { dhcp: true } });
    expect(fedora(byDhcp)).toEqual(taken("nics.eno2", 100, first));
    expect(fedora({ ...byDhcp, "network.metric": 10 })).toEqual([]);
    const still = nics({ eno2: { address: "10.40.0.11/24", gateway: "10.40.0.1" } });
    expect(fedora(still)).toEqual(taken("nics.eno2", 100, first));
  });

  test("are refused where two have the same, one of them by what is said", () => {
    const both = { ...nics({ eno2: { dhcp: true, metric: 400 } }), ...vlans({ va: route(7) }) };
    expect(fedora({ ...both, "network.metric": 10 })).toEqual(taken("vlans.va", 400, "eno2"));
    expect(fedora(vlans({ va: route(7), vb: route(8) }))).toEqual(taken("vlans.vb", 400, "va"));
    // networkd goes by how the route came to be.
    expect(mistakesWith({ ...both, "network.metric": 10 })).toEqual([]);
    expect(mistakesWith(vlans({ va: route(7) }))).toEqual(taken("vlans.va", 0, first));
  });
});
