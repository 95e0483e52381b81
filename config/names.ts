/** What needs a name server, and that there is one where nothing works without. */
import * as ipaddr from "ipaddr.js";
import type { Problem } from "./problem";
import type { StackConfig } from "./stack";
import type { Understood } from "./understood";
import { isIpv4 } from "./values";

/**
 * Guests have static addresses and the name servers that the configuration gives them, from their live installer on;
 * Flatcar has none of its own to fall back to. What a proxy with an address fetches, it asks for by name itself.
 */
export function checkNames({ platform, network, os, osGiven }: Understood): Problem[] {
  if (platform !== "virtualbox" || network.dns?.length !== 0) return [];
  // What is given and not understood has a mistake of its own.
  if (osGiven.includes("image") || (osGiven.includes("proxies") && !os.proxies)) return [];
  if (proxiesOf(os).some(isFoundWithout)) return [];
  return [
    {
      path: "network.dns",
      found: "[]",
      wanted:
        "the addresses of name servers, as guests fetch the system by its server's name; or os.image, a file here; or os.proxies with a proxy's address in place of its name",
    },
  ];
}

/** What of a configuration without name servers asks for a name, each as its path and the name. */
export function namesWithoutServers(config: StackConfig): string[] {
  const { images, network, nodes, os, platform } = config;
  // A host that ran before has its owner's; DHCP tells the name servers too.
  const other = Object.values(nodes).every(({ nics }) => Object.values(nics).some(({ dhcp }) => dhcp));
  if (platform === "existing" || network.dns.length > 0 || other) return [];
  const proxies = proxiesOf(os);
  const proxied = proxies.some(isFoundWithout);
  return [
    ...(proxied || os.image ? [] : ["the system's download (no os.image)"]),
    ...proxies.filter((url) => !isFoundWithout(url)).map((url) => `os.proxies (${new URL(url).hostname})`),
    ...os.ntp.filter((server) => !ipaddr.isValid(server)).map((server) => `os.ntp (${server})`),
    ...Object.entries(images).flatMap(([name, image]) => {
      const registry = image && "name" in image ? registryOf(image.name) : undefined;
      return registry === undefined || proxied || isIpv4(registry) ? [] : [`images.${name} (${registry})`];
    }),
  ];
}

function proxiesOf({ proxies }: Understood["os"]): string[] {
  return [...new Set([proxies?.http, proxies?.https].filter((url) => url !== undefined))];
}

/** An address; or a name without a dot, which neighbours may answer for themselves. */
function isFoundWithout(url: string): boolean {
  const host = URL.canParse(url) ? new URL(url).hostname : url;
  return ipaddr.isValid(host.replace(/^\[(.*)\]$/, "$1")) || !host.includes(".");
}

/** As Docker reads an image's name. */
function registryOf(image: string): string {
  const [first = "", ...rest] = image.split("/");
  return rest.length > 0 && /[.:]|^localhost$/.test(first) ? first.replace(/:\d+$/, "") : "docker.io";
}
