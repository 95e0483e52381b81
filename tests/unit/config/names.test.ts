import { describe, expect, test } from "vitest";
import { parseStackConfig } from "../../../config/stack";
import { warningsOf } from "../../../config/warnings";
import { rawStack, type RawConfig } from "../../support/stacks";
import { mistakesOf, set, type Settings } from "./mistakes";

const image = { path: "images/flatcar_production_image.bin.bz2", sha512: "a".repeat(128) };
const wanted =
  "network.dns: []; the addresses of name servers, as guests fetch the system by its server's name; or os.image, a file here; or os.proxies with a proxy's address in place of its name";

/** A stack without name servers, with some values set. */
function nameless(stack: string, settings: Settings = {}): RawConfig {
  const raw = structuredClone(rawStack(stack));
  for (const [path, value] of Object.entries({ "network.dns": [], ...settings })) {
    set(raw, path.split("."), value);
  }
  return raw;
}

const warnings = (raw: RawConfig) => warningsOf(parseStackConfig(raw));

describe("guests without a name server", () => {
  test("have two in the article's stack", () => {
    expect(parseStackConfig(rawStack("virtualbox")).network.dns).toHaveLength(2);
    expect(warnings(rawStack("virtualbox"))).toEqual([]);
  });

  const impossible: [string, Settings][] = [
    ["nothing else", {}],
    ["DHCP in the network, which static addresses make nothing of", { "hypervisor.network.dhcp": true }],
    ["a proxy that has only a name", { "os.proxies": { https: "http://proxy.domain.com:3128" } }],
  ];
  test.each(impossible)("are refused with %s", (_name, settings) => {
    expect(mistakesOf(nameless("virtualbox", settings))).toEqual([wanted]);
  });

  test("are refused where the key is left out", () => {
    const raw = nameless("virtualbox");
    delete raw.network?.dns;
    expect(mistakesOf(raw)).toEqual([wanted]);
  });

  const possible: [string, Settings][] = [
    ["the system's image in a file", { "os.image": image }],
    ["a proxy given by its address", { "os.proxies": { https: "http://10.0.2.1:3128" } }],
    ["one given by its IPv6 address", { "os.proxies": { https: "http://[fd00::1]:3128" } }],
    ["one that neighbours may name themselves", { "os.proxies": { http: "http://proxy:3128" } }],
  ];
  test.each(possible)("are taken with %s", (_name, settings) => {
    expect(mistakesOf(nameless("virtualbox", settings))).toEqual([]);
  });

  test("are no mistake beside one in what would do without", () => {
    const found = mistakesOf(nameless("virtualbox", { "os.proxies": { https: "proxy" } }));
    expect(found).toEqual(['os.proxies.https: "proxy"; a URL that starts with http:// or https://']);
    expect(mistakesOf(nameless("virtualbox", { "os.image": { path: image.path } }))).toHaveLength(1);
    expect(mistakesOf(nameless("virtualbox", { "network.dns": ["ns1.domain.com"] }))).toEqual([
      'network.dns.0: "ns1.domain.com"; an IPv4 address such as 10.0.2.11',
    ]);
  });
});

describe("what asks for a name where there is no name server is warned of", () => {
  const begin =
    "network.dns: found []; wanted the addresses of name servers: nodes have none, and these ask for a name: ";
  const byName = { name: "registry.domain.com:5000/nginx", digest: `sha256:${"a".repeat(64)}` };
  const cases: [string, string, Settings, string][] = [
    ["a machine's download", "metal", {}, "the system's download (no os.image)"],
    [
      "time servers of guests",
      "virtualbox",
      { "os.image": image, "os.ntp": ["time.domain.com", "10.0.2.1"] },
      "os.ntp (time.domain.com)",
    ],
    [
      "images by name",
      "metal",
      { "os.image": image, "images.nginx": byName, "images.haproxy": { ...byName, name: "haproxy" } },
      "images.nginx (registry.domain.com), images.haproxy (docker.io)",
    ],
    [
      "proxies",
      "metal",
      {
        "os.image": image,
        "os.proxies": { http: "http://proxy.domain.com", https: "http://proxy.domain.com" },
      },
      "os.proxies (proxy.domain.com)",
    ],
  ];
  test.each(cases)("%s", (_name, stack, settings, names) => {
    expect(warnings(nameless(stack, settings))).toEqual([begin + names]);
  });

  const silent: [string, string, Settings][] = [
    ["hosts that ran before", "existing", {}],
    ["the lab, which has addresses alone", "dev", {}],
    [
      "images behind a proxy with an address",
      "metal",
      { "os.proxies": { https: "http://192.168.10.2:3128" }, "images.nginx": byName },
    ],
    [
      "a registry with an address",
      "metal",
      { "os.image": image, "images.nginx": { ...byName, name: "192.168.10.3:5000/nginx" } },
    ],
    [
      "machines that have their name servers by DHCP",
      "metal",
      Object.fromEntries(
        [1, 2, 3, 4].map((at) => [`nodes.coreos${at}.nics`, { eno2: { dhcp: true, metric: 500 } }]),
      ),
    ],
  ];
  test.each(silent)("but not of %s", (_name, stack, settings) => {
    expect(warnings(nameless(stack, settings))).toEqual([]);
  });
});
