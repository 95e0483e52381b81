import { describe, expect, test } from "vitest";
import { parseStackConfig } from "../../../config/stack";
import { warningsOf } from "../../../config/warnings";
import { rawStack } from "../../support/stacks";
import { configWith, testMistakes } from "./mistakes";

const nameless = "network.dns: []\n";
const image = `os.image: { path: images/flatcar_production_image.bin.bz2, sha512: ${"a".repeat(128)} }\n`;

test("guests of the article's stack have two name servers", () => {
  const config = parseStackConfig(rawStack("virtualbox"));
  expect(config.network.dns).toHaveLength(2);
  expect(warningsOf(config)).toEqual([]);
});

describe("guests need a name server, or a download without names", () => {
  const wanted =
    "network.dns: []; the addresses of name servers, as guests fetch the system by its server's name; or os.image, a file here; or os.proxies with a proxy's address in place of its name";

  testMistakes(
    {
      [nameless]: wanted,
      "network.dns: ~": wanted,
      [`${nameless}hypervisor.network.dhcp: true`]: wanted,
      [`${nameless}os.proxies: { https: 'http://proxy.domain.com:3128' }`]: wanted,
      [`${nameless}${image}`]: [],
      [`${nameless}os.proxies: { https: 'http://10.0.2.1:3128' }`]: [],
      [`${nameless}os.proxies: { https: 'http://[fd00::1]:3128' }`]: [],
      // Neighbours may name themselves.
      [`${nameless}os.proxies: { http: 'http://proxy:3128' }`]: [],
      [`${nameless}os.proxies: { https: proxy }`]:
        'os.proxies.https: "proxy"; a URL that starts with http:// or https://',
      [`${nameless}os.image: { path: flatcar_production_image.bin.bz2 }`]:
        "os.image: no checksum; either sha512 or sha256 beside the path, as the distribution publishes it",
      "network.dns: [ns1.domain.com]": 'network.dns.0: "ns1.domain.com"; an IPv4 address such as 10.0.2.11',
    },
    "virtualbox",
  );
});

describe("without a name server there is a warning of names in", () => {
  const digest = `digest: 'sha256:${"a".repeat(64)}'`;
  const nginx = (registry: string) => `images.nginx: { name: '${registry}:5000/nginx', ${digest} }\n`;
  const haproxy = `images.haproxy: { name: haproxy, ${digest} }\n`;
  const proxy = "http://proxy.domain.com";
  const dhcp = "nics: { eno2: { dhcp: true, metric: 500 } }";

  test.each([
    ["a machine's download", "metal", "", "the system's download (no os.image)"],
    [
      "time servers of guests",
      "virtualbox",
      `${image}os.ntp: [time.domain.com, 10.0.2.1]`,
      "os.ntp (time.domain.com)",
    ],
    [
      "images",
      "metal",
      image + nginx("registry.domain.com") + haproxy,
      "images.nginx (registry.domain.com), images.haproxy (docker.io)",
    ],
    [
      "proxies",
      "metal",
      `${image}os.proxies: { http: '${proxy}', https: '${proxy}' }`,
      "os.proxies (proxy.domain.com)",
    ],
    ["no host that ran before", "existing", "", undefined],
    ["no lab, which has addresses alone", "dev", "", undefined],
    [
      "no image behind a proxy with an address",
      "metal",
      `os.proxies: { https: 'http://192.168.10.2:3128' }\n${nginx("registry.domain.com")}`,
      undefined,
    ],
    ["no registry with an address", "metal", image + nginx("192.168.10.3"), undefined],
    [
      "no machine with name servers by DHCP",
      "metal",
      [1, 2, 3, 4].map((at) => `nodes.coreos${at}.${dhcp}`).join("\n"),
      undefined,
    ],
  ])("%s", (_what, stack, settings, names) => {
    const warning = `network.dns: found []; wanted the addresses of name servers: nodes have none, and these ask for a name: ${names}`;
    expect(warningsOf(configWith(nameless + settings, stack))).toEqual(names === undefined ? [] : [warning]);
  });
});
